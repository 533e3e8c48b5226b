//! Live updates over WebSocket: which clients watch which session, and what each of them still has to be sent. Knows messages
//! as bytes and when they are overtaken; does not know how sessions change.

mod allowance;
mod answers;
mod budget;
mod frame;
mod hub;
mod shared_writer;
mod metrics;
mod outbox;
mod client;
mod client_reader;
mod context;
mod outgoing;
mod queue;
mod socket;
mod topic;
mod upgrade;
mod warnings;

pub use client::serve;
pub use context::WsContext;
pub use hub::Hub;
pub use upgrade::{UpgradeRequest, invite};
pub use warnings::warn;
