//! Subscriptions to Redis Pub/Sub: subscribes to the channels of watched sessions, fans messages out, notices a connection
//! that went silent, and resyncs what was missed. Does not know clients.
//!
//! Nothing holds up what is published: whoever wants to watch waits together with all others who do, for a subscription
//! and a read that are on their way while updates are handed on.

mod joins;
mod lapses;
mod news;
mod channel;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::clock::Moment;
use crate::engine::SessionId;
use crate::random;
use crate::redis::RedisError;
use crate::store::metrics::Role;
use crate::store::redis::connection::jitter;
use crate::store::redis::read::reader::{Lookup, StoredRecord};
use crate::store::redis::shard_context::ShardContext;
use crate::store::{Read, StoreError, Subscription, Update};
use crate::supervision::panic_point;

use channel::Channel;
use joins::{Finished, SubscriptionChange, finish};
use lapses::Lapses;

/// How long a connection may be silent before it is probed.
const QUIET_MAX: Duration = Duration::from_millis(800);
/// How long before it is given up: so that clients who miss something have the newest state within 2 s.
const SILENCE_MAX: Duration = Duration::from_millis(1_600);
/// How often that is looked at, and what nobody watches any more is let go.
const TICK: Duration = Duration::from_millis(100);
/// Sessions that are read, and channels that are subscribed to, together.
const TOGETHER_MAX: usize = 1_000;
/// How long updates may be interrupted while all else works, before whoever watches is sent elsewhere.
const INTERRUPTED_MAX: Duration = Duration::from_secs(5);
/// How long to wait before a lost connection is made anew.
const RECONNECT_PAUSE_US: (u64, u64) = (20_000, 200_000);

/// Why nobody can watch.
pub(super) const INTERRUPTED: StoreError = StoreError::Unavailable("updates are interrupted");

/// Where whoever wants to watch waits: for the state when the subscription stood, and what ends the watch.
type Joined = oneshot::Sender<Result<(Read, Subscription), StoreError>>;

/// What the subscriptions are asked.
pub(super) enum SubscriptionRequest {
    /// Somebody watches a session; answered when the subscription stands.
    Subscription(SessionId, Joined),
    /// Somebody does not any more.
    Unwatch(SessionId),
}

/// The channels of watched sessions.
pub(super) struct Subscriptions {
    shared: Arc<ShardContext>,
    readers: Arc<[mpsc::Sender<Lookup>]>,
    asks: mpsc::WeakUnboundedSender<SubscriptionRequest>,
    inbox: mpsc::UnboundedReceiver<SubscriptionRequest>,
    watched: HashMap<SessionId, Channel>,
    lapses: Lapses,
    /// Who wants to watch and is not joining yet.
    waiting: Vec<(SessionId, Joined)>,
    operation: SubscriptionChange,
    probe: String,
    /// The run of the server that was heard last.
    run: Option<Arc<str>>,
    /// Updates are interrupted, and that was told.
    interrupted: bool,
    /// Since when they are although all else works.
    interrupted_since: Option<Moment>,
    /// For so long that whoever watches is sent elsewhere.
    is_given_up: bool,
}

/// A stored state that is being read.
type PendingRead = Pin<Box<dyn Future<Output = FinishedRead> + Send>>;

/// A stored state that was read, if it could be.
struct FinishedRead {
    id: SessionId,
    why: Why,
    found: Option<StoredRecord>,
}

/// Why it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Something was published that may not be so.
    Doubt,
    /// Its lifetime should be over.
    Lifetime,
}

impl Subscriptions {
    pub(super) fn new(
        shared: Arc<ShardContext>,
        readers: Arc<[mpsc::Sender<Lookup>]>,
        asks: mpsc::WeakUnboundedSender<SubscriptionRequest>,
        inbox: mpsc::UnboundedReceiver<SubscriptionRequest>,
    ) -> Self {
        let probe = shared.keyspace.probe_channel(random::bits());
        Self {
            shared,
            readers,
            asks,
            inbox,
            watched: HashMap::new(),
            lapses: Lapses::default(),
            waiting: Vec::new(),
            operation: SubscriptionChange::None,
            probe,
            run: None,
            interrupted: false,
            interrupted_since: None,
            is_given_up: false,
        }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(&mut self) {
        if self.run.is_some() {
            // Whoever ran before met a fault of ours: what was under way is not, and what was published since is lost.
            self.lost(&RedisError::Io("updates met a fault of ours".to_owned()));
        }
        loop {
            match self.connected().await {
                Ok(()) => return,
                Err(error) => self.lost(&error),
            }
            if !self.pause().await {
                return;
            }
        }
    }

    /// Serves one connection; returns when nobody can ask any more.
    async fn connected(&mut self) -> Result<(), RedisError> {
        let mut subscriber = self.shared.subscribe().await?;
        let mut channels = vec![self.probe.clone()];
        let heard = self.watched.iter().filter(|(_, channel)| channel.is_heard);
        channels.extend(heard.map(|(id, _)| self.shared.keyspace.session_channel(*id)));
        for some in channels.chunks(TOGETHER_MAX) {
            subscriber.subscribe(some.to_vec()).await?;
        }
        self.catch_up().await?;
        self.found();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut probed) = (self.shared.clock.moment(), false);
        let mut looks: FuturesUnordered<PendingRead> = FuturesUnordered::new();
        loop {
            self.begin_joins(&subscriber);
            tokio::select! {
                // Who has ended a watch hears nothing that is committed after it.
                biased;
                ask = self.inbox.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return Ok(()),
                },
                finished = finish(&mut self.operation) => match finished {
                    Finished::Joined(reads) => {
                        for id in self.joined(reads?) {
                            looks.push(self.look(id, Why::Doubt));
                        }
                    }
                    Finished::Left(left) => {
                        self.operation = SubscriptionChange::None;
                        left?;
                    }
                },
                Some(looked) = looks.next(), if !looks.is_empty() => looks.extend(self.looked(looked)),
                message = subscriber.next() => match message {
                    Some(message) => {
                        (heard, probed) = (self.shared.clock.moment(), false);
                        // A message that meets a fault of ours is lost, and the next state makes good for it.
                        let supervisor = self.shared.metrics.supervisor().clone();
                        let hand_on = || self.hand_on(message.get_channel_name(), message.get_payload_bytes());
                        if let Ok(Some(id)) = supervisor.guard("update", hand_on) {
                            looks.push(self.look(id, Why::Doubt));
                        }
                    }
                    None => return Err(RedisError::Io("the connection for updates was closed".to_owned())),
                },
                _ = tick.tick() => {
                    panic_point("updates", "");
                    if !subscriber.is_current() {
                        return Err(RedisError::Moved("updates are published by another server now".to_owned()));
                    }
                    let silence = self.shared.clock.moment().since(heard);
                    if silence >= SILENCE_MAX {
                        return Err(RedisError::Io("the connection for updates is silent".to_owned()));
                    }
                    if silence >= QUIET_MAX && !std::mem::replace(&mut probed, true) {
                        // Its answer is that it is heard.
                        let _ = self.readers[0].try_send(Lookup::Probe(self.probe.clone()));
                    }
                    self.tidy(&subscriber);
                    looks.extend(self.look_at_lapsed());
                }
            }
        }
    }

    fn take(&mut self, ask: SubscriptionRequest) {
        match ask {
            SubscriptionRequest::Subscription(id, joined) => {
                self.watched.entry(id).or_default().watch();
                if self.is_given_up {
                    self.refuse(id, joined, INTERRUPTED);
                } else {
                    self.waiting.push((id, joined));
                }
            }
            SubscriptionRequest::Unwatch(id) => self.unwatch(id),
        }
    }

    fn unwatch(&mut self, id: SessionId) {
        if let Some(channel) = self.watched.get_mut(&id) {
            channel.unwatch(self.shared.clock.moment());
        }
    }

    /// The connection was lost, or could not be made.
    fn lost(&mut self, error: &RedisError) {
        match self.run {
            None => debug!(%error, "updates are not connected yet"),
            Some(_) if std::mem::replace(&mut self.interrupted, true) => debug!(%error, "still interrupted"),
            Some(_) => warn!(%error, "updates are interrupted"),
        }
        // What was on its way is begun again.
        if let SubscriptionChange::Join { asked, .. } = std::mem::replace(&mut self.operation, SubscriptionChange::None)
        {
            self.waiting.splice(0..0, asked);
        }
        self.watched.values_mut().for_each(Channel::is_interrupted);
        self.shared.set_interrupted(Some(error.to_string()));
        if self.shared.missing().is_some() {
            // Nobody else is better off, and whoever waits is told when it is over.
            self.interrupted_since = None;
            return;
        }
        let now = self.shared.clock.moment();
        if now.since(*self.interrupted_since.get_or_insert(now)) >= INTERRUPTED_MAX {
            self.send_elsewhere();
        }
    }

    /// Sends everybody elsewhere who watches or wants to.
    fn send_elsewhere(&mut self) {
        let watched = self.watched.iter().filter(|(_, channel)| channel.is_watched());
        let watched: Vec<_> = watched.map(|(id, _)| *id).collect();
        if !std::mem::replace(&mut self.is_given_up, true) {
            warn!(sessions = watched.len(), "updates stay interrupted: whoever watches is sent elsewhere");
        }
        for (id, joined) in std::mem::take(&mut self.waiting) {
            self.refuse(id, joined, INTERRUPTED);
        }
        for id in watched {
            self.shared.listener.update(id, &Update::Interrupted);
        }
    }

    /// Updates are heard, and nothing is missing any more.
    fn found(&mut self) {
        self.shared.set_interrupted(None);
        (self.interrupted_since, self.is_given_up) = (None, false);
        if std::mem::take(&mut self.interrupted) {
            self.shared.metrics.reconnected(Role::Updates);
            info!(sessions = self.watched.len(), "updates are connected again");
        }
    }

    /// Waits a little before another connection is made; `false` when nobody can ask any more.
    async fn pause(&mut self) -> bool {
        let pause = tokio::time::sleep(jitter::between_us(RECONNECT_PAUSE_US.0, RECONNECT_PAUSE_US.1));
        let mut pause = std::pin::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return true,
                ask = self.inbox.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return false,
                },
            }
        }
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.shared.set_interrupted(None);
    }
}
