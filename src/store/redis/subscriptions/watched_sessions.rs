//! The sessions that have subscribers in this instance, with their channels, and subscribers that wait. Does not know
//! what is published, nor when a connection is lost.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::debug;

use crate::clock::Moment;
use crate::engine::{SessionId, Timestamp};
use crate::hashing::HashMap;
use crate::random;
use crate::store::metrics::Rejected;
use crate::store::redis::connection::Connector;
use crate::store::redis::read::ReaderPool;
use crate::store::{Lifetimes, Listener, StoreError, Subscription};

use super::channel::Channel;
use super::lapses::Lapses;
use super::request::{SubscribedReply, SubscriptionRequest};
use super::subscription_change::SubscriptionChange;

/// Sessions that are read, and channels that are subscribed to, together.
pub(super) const TOGETHER_MAX: usize = 1_000;

/// The watched sessions of a shard, and what is under way for them.
pub(in crate::store::redis) struct WatchedSessions {
    pub(super) connector: Arc<Connector>,
    pub(super) lifetimes: Lifetimes,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) readers: ReaderPool,
    requests: mpsc::WeakUnboundedSender<SubscriptionRequest>,
    pub(super) inbox: mpsc::UnboundedReceiver<SubscriptionRequest>,
    pub(super) watched: HashMap<SessionId, Channel>,
    pub(super) lapses: Lapses,
    /// Subscribers that wait for the next change.
    pub(super) waiting: Vec<(SessionId, SubscribedReply)>,
    pub(super) change: SubscriptionChange,
    /// The channel of probes.
    pub(super) probe: String,
    /// The run of the server that updates came from last.
    pub(super) run: Option<Arc<str>>,
    pub(super) interruption: Interruption,
}

/// An interruption of updates.
#[derive(Debug, Default)]
pub(super) struct Interruption {
    /// It was logged.
    pub(super) is_logged: bool,
    /// Since when, although all else works.
    pub(super) since: Option<Moment>,
    /// It lasts so long that subscribers are sent elsewhere.
    pub(super) is_given_up: bool,
}

impl WatchedSessions {
    pub(in crate::store::redis) fn new(
        connector: Arc<Connector>,
        lifetimes: Lifetimes,
        listener: Arc<dyn Listener>,
        readers: ReaderPool,
        requests: mpsc::WeakUnboundedSender<SubscriptionRequest>,
        inbox: mpsc::UnboundedReceiver<SubscriptionRequest>,
    ) -> Self {
        let probe = connector.keyspace().probe_channel(random::bits());
        Self {
            connector,
            lifetimes,
            listener,
            readers,
            requests,
            inbox,
            watched: HashMap::default(),
            lapses: Lapses::default(),
            waiting: Vec::new(),
            change: SubscriptionChange::None,
            probe,
            run: None,
            interruption: Interruption::default(),
        }
    }

    /// The name of a session's channel.
    pub(super) fn channel_name(&self, id: SessionId) -> String {
        self.connector.keyspace().session_channel(id)
    }

    /// The server clock's time, as far as it is known.
    pub(super) fn now(&self) -> Timestamp {
        self.connector.server_clock().now()
    }

    /// The monotonic clock's present moment.
    pub(super) fn moment(&self) -> Moment {
        self.connector.server_clock().moment()
    }

    /// A subscription to a session that ends when it is dropped.
    pub(super) fn subscription(&self, id: SessionId) -> Subscription {
        let requests = self.requests.clone();
        Subscription::new(move || {
            // The subscriptions end with the store.
            let _ = requests.upgrade().map(|requests| requests.send(SubscriptionRequest::Unsubscribe(id)));
        })
    }

    /// One subscriber of a session less.
    pub(super) fn unwatch(&mut self, id: SessionId) {
        let now = self.moment();
        if let Some(channel) = self.watched.get_mut(&id) {
            channel.unwatch(now);
        }
    }

    /// Refuses a subscription.
    pub(super) fn refuse(&mut self, id: SessionId, reply: SubscribedReply, why: StoreError) {
        // A subscriber that does not wait any more was answered before.
        let _ = reply.send(Err(why));
        self.unwatch(id);
    }

    /// A published message is not used.
    pub(super) fn reject(&self, id: SessionId, what: &str) {
        debug!(session = %id, "{what}");
        self.connector.metrics().rejected(Rejected::Message);
    }
}
