//! Who watches which session. Hands each update to the outboxes of that session's clients, in shards so
//! that sessions do not wait for each other. Does not know connections, nor where updates come from.

use std::collections::{BTreeSet, HashMap};
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
/// How many clients are sent something without a pause, so that whatever else there is to do waits for no more than that.
const CLIENTS_AT_ONCE: usize = 64;
/// A warning that is later than this is of no use.
const WARNING_LATE_MAX: Millis = Millis::new(1_000);

/// The clients of every session that is watched.
pub struct Hub {
    shards: Box<[Mutex<HashMap<SessionId, Topic>>]>,
    /// The next warning of every session that has one.
    schedule: Mutex<BTreeSet<(Timestamp, SessionId)>>,
    /// A warning was scheduled that may be sooner than all others.
    pub(super) rescheduled: Notify,
    connections: Gauge,
    subscriptions: Gauge,
}

/// A session and the clients that watch it.
#[derive(Default)]
struct Topic {
    outboxes: Arc<Vec<Arc<Outbox>>>,
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
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            schedule: Mutex::default(),
            rescheduled: Notify::new(),
        }
    }

    /// `outbox` is given what happens to a session, until the membership is dropped.
    pub(super) fn join(&self, id: SessionId, outbox: Arc<Outbox>) -> Membership<'_> {
        let mut shard = self.shard(id).lock();
        let topic = shard.entry(id).or_default();
        self.subscriptions.inc_by(i64::from(topic.outboxes.is_empty()));
        self.connections.inc();
        Arc::make_mut(&mut topic.outboxes).push(Arc::clone(&outbox));
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
        Arc::make_mut(&mut topic.outboxes).retain(|other| !Arc::ptr_eq(other, outbox));
        self.connections.dec();
        if topic.outboxes.is_empty() {
            self.subscriptions.dec();
            self.reschedule(id, topic.next_warning(), None);
            shard.remove(&id);
        }
    }

    /// When the next warning is due.
    pub(super) fn next_warning(&self) -> Option<Timestamp> {
        self.schedule.lock().first().map(|(at, _)| *at)
    }

    /// Sends the warnings that are due at `now`.
    pub(super) fn warn(&self, now: Timestamp) {
        loop {
            let due = self.schedule.lock().first().copied().filter(|(at, _)| *at <= now);
            let Some((at, id)) = due else { return };
            let mut shard = self.shard(id).lock();
            match shard.get_mut(&id) {
                Some(topic) if topic.next_warning() == Some(at) => {
                    let warning = topic.countdown.warnings.remove(0);
                    topic.warned = Some(at);
                    if now.since(at) <= WARNING_LATE_MAX {
                        let left = topic.countdown.deadline.map_or(Millis::ZERO, |deadline| deadline.since(now));
                        topic.notice(&wire::warning(id, &warning, left, now));
                    }
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
        &self.shards[id.0.place(SHARDS)]
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
    fn notice(&self, message: &Bytes) {
        let message = text(message);
        self.tell(|outbox| outbox.notice(message.clone()));
    }

    /// Gives everybody something, in the order in which it is called; it is sent by others, since whoever tells holds
    /// locks and has an answer to give.
    fn tell(&self, give: impl Fn(&Outbox)) {
        for outbox in self.outboxes.iter() {
            give(outbox);
        }
        for first in (0..self.outboxes.len()).step_by(CLIENTS_AT_ONCE) {
            let outboxes = Arc::clone(&self.outboxes);
            tokio::spawn(async move {
                for outbox in outboxes.iter().skip(first).take(CLIENTS_AT_ONCE) {
                    outbox.deliver();
                }
            });
        }
    }
}

/// Shares the bytes; checked once for all clients.
fn text(bytes: &Bytes) -> Utf8Bytes {
    Utf8Bytes::try_from(bytes.clone()).expect("messages are JSON, which is UTF-8")
}
