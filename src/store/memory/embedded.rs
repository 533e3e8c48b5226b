//! The state of the embedded store: shards of sessions, counts and bounds, and what they share. Does not know when a session
//! is committed.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::client::ClientId;
use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp};
use crate::hashing::KeyedState;
use crate::store::arrival::Arrivals;
use crate::store::budget::BytesBudget;
use crate::store::contract::{Listener, StoreError, SwitchCounter};
use crate::store::durability::Durability;
use crate::store::lifetime::Lifetimes;
use crate::store::metrics::{Bound, Metrics};
use crate::store::rate_limit::RateWindows;

use super::shard::SessionShard;

/// Shards, each with a lock of its own.
pub(super) const SHARDS: usize = 64;
/// A session that takes more, in bytes, is large.
const LARGE: usize = 16 << 10;
/// The part of the bound on bytes from which on large sessions are refused.
const PERCENT_LARGE: usize = 80;

/// The bounds and lifetimes of the embedded store.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Sessions at most, and tombstones at most.
    pub sessions_max: usize,
    /// Bytes that they may take.
    pub bytes_max: usize,
    /// How long a tombstone is stored.
    pub tombstone_ttl: Millis,
    /// How long sessions are stored.
    pub lifetimes: Lifetimes,
}

impl Default for Limit {
    /// Without bounds; an hour for tombstones.
    fn default() -> Self {
        let lifetimes = Lifetimes::default();
        Self { sessions_max: usize::MAX, bytes_max: usize::MAX, tombstone_ttl: Millis::new(3_600_000), lifetimes }
    }
}

/// The sessions of this process.
pub(super) struct EmbeddedStore<D> {
    pub(super) clock: Clock,
    pub(super) limit: Limit,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) metrics: Metrics,
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) switches: RateWindows<SwitchCounter>,
    pub(super) requests: RateWindows<ClientId>,
    pub(super) refusals: RateWindows<(SessionId, ClientId)>,
    hasher: KeyedState,
    pub(super) shards: Box<[Mutex<SessionShard>]>,
    pub(super) sessions: AtomicUsize,
    /// What they take.
    pub(super) bytes: BytesBudget,
    pub(super) alarm: DeadlineAlarm,
    pub(super) durability: D,
}

/// Wakes the task that waits for the earliest deadline.
pub(super) struct DeadlineAlarm {
    pub(super) earliest_ms: AtomicU64,
    pub(super) moved: Notify,
}

impl DeadlineAlarm {
    /// Wakes it if `deadline` is earlier than what it waits for.
    pub(super) fn set(&self, deadline: Timestamp) {
        if self.earliest_ms.fetch_min(deadline.as_ms(), Ordering::AcqRel) > deadline.as_ms() {
            self.moved.notify_one();
        }
    }
}

impl<D: Durability> EmbeddedStore<D> {
    /// An empty store.
    pub(super) fn new(
        clock: Clock,
        limit: Limit,
        listener: Arc<dyn Listener>,
        metrics: Metrics,
        durability: D,
    ) -> Self {
        Self {
            arrivals: Arrivals::new(clock.clone()),
            clock,
            limit,
            listener,
            bytes: metrics.sessions_bytes(limit.bytes_max),
            metrics,
            switches: RateWindows::new(),
            requests: RateWindows::new(),
            refusals: RateWindows::new(),
            hasher: KeyedState::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            sessions: AtomicUsize::new(0),
            alarm: DeadlineAlarm { earliest_ms: AtomicU64::new(u64::MAX), moved: Notify::new() },
            durability,
        }
    }

    /// The shard of a session.
    pub(super) fn shard(&self, id: SessionId) -> &Mutex<SessionShard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// Whether any session is to be settled at some time.
    pub(super) fn has_deadlines(&self) -> bool {
        self.shards.iter().any(|shard| !shard.lock().deadlines.is_empty())
    }

    /// Counts one more session, if it fits. The last part of the bound on bytes is for small ones.
    pub(super) fn admit(&self, size: usize) -> Result<(), StoreError> {
        let percent = if size > LARGE { PERCENT_LARGE } else { 100 };
        // What it takes is counted when it is put.
        let has_room = self.bytes.try_add(size, percent);
        if !has_room {
            self.metrics.refused(Bound::SessionsBytes);
            return Err(StoreError::Unavailable("the sessions that there are take as much memory as they may"));
        }
        self.bytes.remove(size);
        let one_more = |held: usize| (held < self.limit.sessions_max).then_some(held + 1);
        if self.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            self.metrics.refused(Bound::Sessions);
            return Err(StoreError::Unavailable("the server holds as many sessions as it may"));
        }
        Ok(())
    }

    /// Counts so many sessions as removed.
    pub(super) fn leave(&self, sessions: usize) {
        self.sessions.fetch_sub(sessions, Ordering::Relaxed);
    }
}
