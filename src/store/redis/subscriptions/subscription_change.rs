//! A change of the subscribed channels: new subscriptions with the states that they begin with, or the end of old ones.
//! Does not know who subscribes.

use std::pin::Pin;

use crate::engine::SessionId;
use crate::hashing::HashMap;
use crate::redis::{PendingSubscribe, RedisError};
use crate::store::{Read, StoreError};

use super::request::SubscribedReply;

/// A change of the subscribed channels that is under way, one at a time.
pub(super) enum SubscriptionChange {
    None,
    Join { asked: Vec<(SessionId, SubscribedReply)>, reads: Reads },
    Leave(PendingSubscribe),
}

/// The states of sessions once their channels were subscribed to.
pub(super) type Reads =
    Pin<Box<dyn Future<Output = Result<HashMap<SessionId, Result<Read, StoreError>>, RedisError>> + Send>>;

/// What a change came to.
pub(super) enum FinishedChange {
    Joined(Result<HashMap<SessionId, Result<Read, StoreError>>, RedisError>),
    Left(Result<(), RedisError>),
}

/// Waits for the end of a change; for ever while there is none.
pub(super) async fn finish(operation: &mut SubscriptionChange) -> FinishedChange {
    match operation {
        SubscriptionChange::None => std::future::pending().await,
        SubscriptionChange::Join { reads, .. } => FinishedChange::Joined(reads.as_mut().await),
        SubscriptionChange::Leave(subscription) => FinishedChange::Left(subscription.as_mut().await),
    }
}
