//! Subscriptions: what a subscriber is shown first, and the updates that a listener is called with after that. Does not
//! know how an update reaches a client.

use bytes::Bytes;

use crate::engine::{SessionId, StateTag, Timestamp};
use crate::store::countdown::Countdown;
use crate::store::record::Snapshot;

/// A session that is subscribed to.
#[derive(Debug)]
pub struct Subscribed {
    /// The state when the subscription began.
    pub snapshot: Option<Snapshot>,
    /// When clients are to be warned, if nothing happens before.
    pub countdown: Countdown,
    /// The server clock's time then.
    pub now: Timestamp,
    /// Ends the subscription when dropped.
    pub subscription: Subscription,
}

/// Runs something when dropped: the end of a subscription.
pub struct Subscription(Option<Box<dyn FnOnce() + Send>>);

impl Subscription {
    /// A subscription that ends with `end`.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription")
    }
}

/// Receives the updates of sessions that are subscribed to. A backend calls it in order while it holds the session: it
/// must not wait, nor call the backend.
pub trait Listener: Send + Sync {
    /// A session that is subscribed to changed.
    fn update(&self, id: SessionId, update: &Update);
}

/// A change as a listener receives it.
#[derive(Clone, Debug)]
pub enum Update {
    /// A new state.
    State {
        /// Which.
        tag: StateTag,
        /// The message that carries it.
        frame: Bytes,
        /// When clients are to be warned, if nothing happens before.
        countdown: Countdown,
    },
    /// The present state after the store may have lost newer ones: it counts although it may be older than the last one
    /// that the listener received.
    Resync {
        /// Which.
        tag: StateTag,
        /// The message that carries it.
        frame: Bytes,
        /// When clients are to be warned, if nothing happens before.
        countdown: Countdown,
    },
    /// A message that belongs to the state before it, or to none.
    Notice(Bytes),
    /// The session was deleted.
    Deleted {
        /// The tag of the deletion among the session's states.
        tag: StateTag,
        /// The message that says so.
        frame: Bytes,
    },
    /// Updates of the session are lost for an unknown time: its subscribers should connect elsewhere.
    Interrupted,
}
