//! What the subscriptions of a shard are asked. Does not know how they answer.

use tokio::sync::oneshot;

use crate::engine::SessionId;
use crate::store::{Read, StoreError, Subscription};

/// The answer while updates are interrupted.
pub(in crate::store::redis) const INTERRUPTED: StoreError = StoreError::Unavailable("updates are interrupted");

/// The reply to a subscriber: the state once the channel is subscribed to, and what ends the subscription.
pub(super) type SubscribedReply = oneshot::Sender<Result<(Read, Subscription), StoreError>>;

/// A request to the subscriptions.
pub(in crate::store::redis) enum SubscriptionRequest {
    /// A subscription to a session; answered once its channel is subscribed to.
    Subscribe(SessionId, SubscribedReply),
    /// The end of one.
    Unsubscribe(SessionId),
}
