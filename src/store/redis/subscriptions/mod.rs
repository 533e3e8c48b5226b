//! Subscriptions to Redis Pub/Sub: subscribes to the channels of watched sessions, fans messages out, notices a
//! connection that went silent, and resyncs what was missed. Does not know clients.

mod channel;
mod joins;
mod lapses;
mod messages;
mod newest_state;
mod pending_read;
mod request;
mod resync;
mod subscription_change;
mod task;
mod watched_sessions;

pub(super) use request::{INTERRUPTED, SubscriptionRequest};
pub(super) use watched_sessions::WatchedSessions;
