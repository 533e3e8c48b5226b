//! The fan-out: which clients watch which session. Hands each update to the outboxes of the session's clients, in shards so that
//! sessions do not wait for each other. Does not know connections, nor where updates come from.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use crate::engine::{Millis, SessionId, StateTag, Timestamp, Uuid};
use crate::store::{Countdown, Listener, Update};
use crate::supervision::{Supervisor, panic_point};
use crate::wire;

use super::budget::{OutboxBudget, QueuedMessage};
use super::metrics::WsMetrics;
use super::outbox::Outbox;
use super::topic::Topic;

const SHARDS: usize = 64;
/// A warning that is later than this is of no use.
const WARNING_LATE_MAX: Millis = Millis::new(1_000);

/// The clients of every session that is watched.
pub struct Hub {
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<SessionId, Topic>>]>,
    /// The next warning of every session that has one, by the part whose clock it goes by.
    schedule: Mutex<BTreeSet<(usize, Timestamp, SessionId)>>,
    /// Whose clock a session goes by.
    clocks: OnceLock<Clocks>,
    budget: Arc<OutboxBudget>,
    supervisor: Supervisor,
    /// How many have joined.
    joined: AtomicU64,
    pub(super) metrics: WsMetrics,
}

/// The clocks that sessions go by.
struct Clocks {
    part: Box<dyn Fn(SessionId) -> usize + Send + Sync>,
    /// Of each, that a warning was scheduled which may be sooner than all others.
    rescheduled: Box<[Notify]>,
}

impl Hub {
    /// A hub without clients, which counts them in `registry`; so many bytes may wait for all of them together.
    pub fn new(registry: &mut Registry, outbox_bytes_max: u64, supervisor: &Supervisor) -> Self {
        let metrics = WsMetrics::register(registry);
        Self {
            budget: OutboxBudget::new(outbox_bytes_max, metrics.waiting.clone()),
            metrics,
            supervisor: supervisor.clone(),
            joined: AtomicU64::new(0),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            schedule: Mutex::default(),
            clocks: OnceLock::new(),
        }
    }

    /// Where what one client is to be sent will wait.
    pub(super) fn outbox(&self) -> Arc<Outbox> {
        Arc::new(Outbox::new(&self.budget, self.metrics.skipped.clone()))
    }

    /// A number from 0 to 1 for the next client, such that those of clients in a row are spread evenly (a Kronecker sequence by
    /// the golden ratio).
    pub(super) fn share(&self) -> f64 {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        (self.joined.fetch_add(1, Ordering::Relaxed) as f64 * GOLDEN).fract()
    }

    /// `outbox` is given what happens to a session, until the membership is dropped.
    pub(super) fn join(&self, id: SessionId, outbox: Arc<Outbox>) -> Membership<'_> {
        let mut shard = self.shard(id).lock();
        let topic = shard.entry(id).or_default();
        self.metrics.subscriptions.inc_by(i64::from(topic.is_empty()));
        self.metrics.connections.inc();
        topic.join(Arc::clone(&outbox));
        Membership { hub: self, id, outbox }
    }

    /// The state of a session when a client began to watch it: its warnings count from now on.
    pub(super) fn seed(&self, id: SessionId, tag: StateTag, countdown: Countdown) {
        let mut shard = self.shard(id).lock();
        if let Some(topic) = shard.get_mut(&id) {
            self.schedule(id, topic, tag, countdown);
        }
    }

    fn leave(&self, id: SessionId, outbox: &Arc<Outbox>) {
        let mut shard = self.shard(id).lock();
        let Some(topic) = shard.get_mut(&id) else { return };
        topic.leave(outbox);
        self.metrics.connections.dec();
        if topic.is_empty() {
            self.metrics.subscriptions.dec();
            self.reschedule(id, topic.next_warning(), None);
            shard.remove(&id);
        }
    }

    /// From now on there are so many clocks, and each session goes by the one of its part.
    pub(super) fn divide(&self, parts: usize, part: impl Fn(SessionId) -> usize + Send + Sync + 'static) {
        let clocks = Clocks { part: Box::new(part), rescheduled: (0..parts).map(|_| Notify::new()).collect() };
        if self.clocks.set(clocks).is_err() {
            return;
        }
        // What was scheduled before went by the first of them.
        let before = std::mem::take(&mut *self.schedule.lock());
        for (_, at, id) in before {
            self.reschedule(id, None, Some(at));
        }
    }

    /// Sends the warnings that were due when a change was made and are not sent yet: it says nothing of them any more.
    fn catch_up(&self, id: SessionId, topic: &mut Topic, made_at: Timestamp) {
        let old = topic.next_warning();
        while let Some(at) = topic.next_warning().filter(|at| *at <= made_at) {
            self.send_warning(id, topic, at, made_at);
        }
        self.reschedule(id, old, topic.next_warning());
    }

    fn part(&self, id: SessionId) -> usize {
        self.clocks.get().map_or(0, |clocks| (clocks.part)(id))
    }

    /// Waits until the next warning by a part's clock may be sooner.
    pub(super) async fn rescheduled(&self, part: usize) {
        match self.clocks.get().and_then(|clocks| clocks.rescheduled.get(part)) {
            Some(rescheduled) => rescheduled.notified().await,
            None => std::future::pending().await,
        }
    }

    /// When the next warning by a part's clock is due.
    pub(super) fn next_warning(&self, part: usize) -> Option<Timestamp> {
        self.first(part).map(|(at, _)| at)
    }

    fn first(&self, part: usize) -> Option<(Timestamp, SessionId)> {
        let schedule = self.schedule.lock();
        let least = (part, Timestamp::default(), SessionId(Uuid::from_bits(0)));
        let (of, at, id) = schedule.range(least..).next().copied()?;
        (of == part).then_some((at, id))
    }

    /// Sends the warnings that are due at `now` by a part's clock.
    pub(super) fn warn(&self, part: usize, now: Timestamp) {
        loop {
            let due = self.first(part).filter(|(at, _)| *at <= now);
            let Some((at, id)) = due else { return };
            let mut shard = self.shard(id).lock();
            match shard.get_mut(&id) {
                Some(topic) if topic.next_warning() == Some(at) => {
                    self.send_warning(id, topic, at, now);
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
        let part = self.part(id);
        let mut schedule = self.schedule.lock();
        if let Some(old) = old {
            schedule.remove(&(part, old, id));
        }
        if let Some(new) = new {
            schedule.insert((part, new, id));
            drop(schedule);
            if self.first(part) == Some((new, id))
                && let Some(rescheduled) = self.clocks.get().and_then(|clocks| clocks.rescheduled.get(part))
            {
                rescheduled.notify_one();
            }
        }
    }

    /// Sends the next warning, which was due at `at`, unless it is of no use any more.
    fn send_warning(&self, id: SessionId, topic: &mut Topic, at: Timestamp, now: Timestamp) {
        let warning = topic.countdown.warnings.remove(0);
        topic.warned = Some(at);
        if now.since(at) <= WARNING_LATE_MAX {
            let left = topic.countdown.deadline.map_or(Millis::ZERO, |deadline| deadline.since(now));
            self.notice(topic, &wire::warning(id, &warning, left, now));
        }
    }

    fn notice(&self, topic: &Topic, message: &Bytes) {
        let message = self.message(message);
        topic.publish(&self.supervisor, |outbox| outbox.notice(message.clone()));
    }

    fn message(&self, json: &Bytes) -> QueuedMessage {
        QueuedMessage::new(json.clone(), &self.budget)
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
    /// Called in the midst of a change, which a panic here must not harm: a client that misses this update is sent the next one.
    fn update(&self, id: SessionId, update: &Update) {
        let _ = self.supervisor.guard("update", || self.hand_out(id, update));
    }
}

impl Hub {
    fn hand_out(&self, id: SessionId, update: &Update) {
        panic_point("update", id);
        let mut shard = self.shard(id).lock();
        let Some(topic) = shard.get_mut(&id) else { return };
        match update {
            Update::State { tag, frame, countdown } => {
                if topic.newest.is_some_and(|newest| newest.is_followed_by(*tag)) {
                    self.catch_up(id, topic, countdown.made_at);
                }
                let frame = self.message(frame);
                topic.publish(&self.supervisor, |outbox| outbox.state(*tag, frame.clone()));
                self.schedule(id, topic, *tag, countdown.clone());
            }
            Update::Resync { tag, frame, countdown } => {
                let frame = self.message(frame);
                topic.publish(&self.supervisor, |outbox| outbox.restored(*tag, frame.clone()));
                if topic.newest > Some(*tag) {
                    topic.newest = None;
                }
                self.schedule(id, topic, *tag, countdown.clone());
            }
            Update::Notice(message) => self.notice(topic, message),
            Update::Interrupted => topic.publish(&self.supervisor, Outbox::interrupted),
            Update::Deleted { tag, frame } => {
                let frame = self.message(frame);
                topic.publish(&self.supervisor, |outbox| outbox.deleted(*tag, frame.clone()));
                self.schedule(id, topic, *tag, Countdown::default());
            }
        }
    }
}
