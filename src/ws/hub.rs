//! Who watches which session. Hands each update to the outboxes of that session's clients, in shards so
//! that sessions do not wait for each other. Does not know connections, nor where updates come from.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::engine::{Millis, SessionId, StateTag, Timestamp};
use crate::store::{Countdown, Listener, Update};
use crate::wire;

use super::outbox::Outbox;

const SHARDS: usize = 64;
/// Clients in a group at most: so many are sent something without a pause, and whatever else there is to do waits for no
/// more than that.
const GROUP_LEN_MAX: usize = 16;
/// A warning that is later than this is of no use.
const WARNING_LATE_MAX: Millis = Millis::new(1_000);

/// The clients of every session that is watched.
pub struct Hub {
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<SessionId, Topic>>]>,
    /// The next warning of every session that has one.
    schedule: Mutex<BTreeSet<(Timestamp, SessionId)>>,
    /// A warning was scheduled that may be sooner than all others.
    pub(super) rescheduled: Notify,
    connections: Gauge,
    subscriptions: Gauge,
}

/// Some of a session's clients. Who sends them something goes on with those that there were.
type Group = Arc<Vec<Arc<Outbox>>>;

/// A session and the clients that watch it.
#[derive(Default)]
struct Topic {
    groups: Vec<Group>,
    /// The newest state that was heard of.
    newest: Option<StateTag>,
    /// Warnings that are still to be sent.
    countdown: Countdown,
    /// When the last warning that was sent was due: a change of settings does not bring it back.
    warned: Option<Timestamp>,
}

impl Topic {
    fn next_warning(&self) -> Option<Timestamp> {
        self.countdown.warnings.first().map(|warning| warning.at)
    }
}

impl Hub {
    /// Nobody watches anything; how many do is told to `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let (connections, subscriptions) = (Gauge::default(), Gauge::default());
        registry.register("synckairos_websocket_connections", "Clients that watch a session", connections.clone());
        registry.register("synckairos_subscriptions", "Sessions that somebody watches", subscriptions.clone());
        Self {
            connections,
            subscriptions,
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            schedule: Mutex::default(),
            rescheduled: Notify::new(),
        }
    }

    /// `outbox` is given what happens to a session, until the membership is dropped.
    pub(super) fn join(&self, id: SessionId, outbox: Arc<Outbox>) -> Membership<'_> {
        let mut shard = self.shard(id).lock();
        let topic = shard.entry(id).or_default();
        self.subscriptions.inc_by(i64::from(topic.groups.is_empty()));
        self.connections.inc();
        topic.join(Arc::clone(&outbox));
        Membership { hub: self, id, outbox }
    }

    /// The state of a session when a client began to watch it: its warnings count from now on.
    pub(super) fn prime(&self, id: SessionId, tag: StateTag, countdown: Countdown) {
        let mut shard = self.shard(id).lock();
        if let Some(topic) = shard.get_mut(&id) {
            self.schedule(id, topic, tag, countdown);
        }
    }

    fn leave(&self, id: SessionId, outbox: &Arc<Outbox>) {
        let mut shard = self.shard(id).lock();
        let Some(topic) = shard.get_mut(&id) else { return };
        topic.leave(outbox);
        self.connections.dec();
        if topic.groups.is_empty() {
            self.subscriptions.dec();
            self.reschedule(id, topic.next_warning(), None);
            shard.remove(&id);
        }
    }

    /// When the next warning is due.
    pub(super) fn next_warning(&self) -> Option<Timestamp> {
        self.schedule.lock().first().map(|(at, _)| *at)
    }

    /// Sends the warnings that were due when a change was made and are not sent yet: it says nothing of them any more.
    fn catch_up(&self, id: SessionId, topic: &mut Topic, made_at: Timestamp) {
        let old = topic.next_warning();
        while let Some(at) = topic.next_warning().filter(|at| *at <= made_at) {
            topic.warn(id, at, made_at);
        }
        self.reschedule(id, old, topic.next_warning());
    }

    /// Sends the warnings that are due at `now`.
    pub(super) fn warn(&self, now: Timestamp) {
        loop {
            let due = self.schedule.lock().first().copied().filter(|(at, _)| *at <= now);
            let Some((at, id)) = due else { return };
            let mut shard = self.shard(id).lock();
            match shard.get_mut(&id) {
                Some(topic) if topic.next_warning() == Some(at) => {
                    topic.warn(id, at, now);
                    self.reschedule(id, Some(at), topic.next_warning());
                }
                Some(_) | None => self.reschedule(id, Some(at), None),
            }
        }
    }

    fn schedule(&self, id: SessionId, topic: &mut Topic, tag: StateTag, mut countdown: Countdown) {
        if topic.newest >= Some(tag) {
            return;
        }
        let old = topic.next_warning();
        countdown.warnings.retain(|warning| Some(warning.at) > topic.warned);
        topic.newest = Some(tag);
        topic.countdown = countdown;
        self.reschedule(id, old, topic.next_warning());
    }

    fn reschedule(&self, id: SessionId, old: Option<Timestamp>, new: Option<Timestamp>) {
        if old == new {
            return;
        }
        let mut schedule = self.schedule.lock();
        if let Some(old) = old {
            schedule.remove(&(old, id));
        }
        if let Some(new) = new {
            schedule.insert((new, id));
            if schedule.first() == Some(&(new, id)) {
                self.rescheduled.notify_one();
            }
        }
    }

    fn shard(&self, id: SessionId) -> &Mutex<HashMap<SessionId, Topic>> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }
}

/// An outbox that is given what happens to a session.
pub(super) struct Membership<'h> {
    hub: &'h Hub,
    id: SessionId,
    outbox: Arc<Outbox>,
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        self.hub.leave(self.id, &self.outbox);
    }
}

impl Listener for Hub {
    fn update(&self, id: SessionId, update: &Update) {
        let mut shard = self.shard(id).lock();
        let Some(topic) = shard.get_mut(&id) else { return };
        match update {
            Update::State { tag, frame, countdown } => {
                if topic.newest.is_some_and(|newest| newest.is_followed_by(*tag)) {
                    self.catch_up(id, topic, countdown.made_at);
                }
                let frame = text(frame);
                topic.tell(|outbox| outbox.state(*tag, frame.clone()));
                self.schedule(id, topic, *tag, countdown.clone());
            }
            Update::Restored { tag, frame, countdown } => {
                let frame = text(frame);
                topic.tell(|outbox| outbox.restored(*tag, frame.clone()));
                if topic.newest > Some(*tag) {
                    topic.newest = None;
                }
                self.schedule(id, topic, *tag, countdown.clone());
            }
            Update::Notice(message) => topic.notice(message),
            Update::Deleted { tag, frame } => {
                let frame = text(frame);
                topic.tell(|outbox| outbox.deleted(*tag, frame.clone()));
                self.schedule(id, topic, *tag, Countdown::default());
            }
        }
    }
}

impl Topic {
    /// Sends the next warning, which was due at `at`, unless it is of no use any more.
    fn warn(&mut self, id: SessionId, at: Timestamp, now: Timestamp) {
        let warning = self.countdown.warnings.remove(0);
        self.warned = Some(at);
        if now.since(at) <= WARNING_LATE_MAX {
            let left = self.countdown.deadline.map_or(Millis::ZERO, |deadline| deadline.since(now));
            self.notice(&wire::warning(id, &warning, left, now));
        }
    }

    fn notice(&self, message: &Bytes) {
        let message = text(message);
        self.tell(|outbox| outbox.notice(message.clone()));
    }

    /// Gives everybody something, in the order in which it is called; it is sent by others, since whoever tells holds
    /// locks and has an answer to give.
    fn tell(&self, give: impl Fn(&Outbox)) {
        for outbox in self.groups.iter().flat_map(|group| group.iter()) {
            give(outbox);
        }
        for group in &self.groups {
            let group = Arc::clone(group);
            tokio::spawn(async move { group.iter().for_each(|outbox| outbox.send_now()) });
        }
    }

    fn join(&mut self, outbox: Arc<Outbox>) {
        match self.groups.iter_mut().find(|group| group.len() < GROUP_LEN_MAX) {
            Some(group) => Arc::make_mut(group).push(outbox),
            None => self.groups.push(Arc::new(vec![outbox])),
        }
    }

    fn leave(&mut self, outbox: &Arc<Outbox>) {
        let is_it = |other: &Arc<Outbox>| Arc::ptr_eq(other, outbox);
        let Some(place) = self.groups.iter().position(|group| group.iter().any(is_it)) else { return };
        let group = Arc::make_mut(&mut self.groups[place]);
        group.retain(|other| !is_it(other));
        if group.is_empty() {
            self.groups.swap_remove(place);
        }
    }
}

/// Shares the bytes; checked once for all clients.
fn text(bytes: &Bytes) -> Utf8Bytes {
    Utf8Bytes::try_from(bytes.clone()).expect("messages are JSON, which is UTF-8")
}
