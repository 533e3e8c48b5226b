//! The embedded store: sessions in this process, in shards that are locked for the length of a decision. With a data
//! directory, changes are entered into its journal under the same lock and waited for after it. Time is the operating
//! system's. Does not know what a session is beyond its record, nor how the journal is written.

mod commit;
mod restore;
mod shard;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::client_address::ClientAddress;
use crate::clock::Clock;
use crate::engine::{Millis, SessionId, StateTag, Timestamp, Uuid};
use crate::supervision::panic_point;
use crate::wire;

use super::arrival::{Arrival, Arrivals};
use super::file::{DataDir, Journal, Timeline};
use super::metrics::Metrics;
use super::rate_limit::Limits;
use super::{
    Backend, BoxFuture, BytesBudget, Commit, CommitOutcome, Committed, Deadlines, Lifetimes, Listener, PartitionClocks,
    PendingAudit, REFUSALS, RateLimit, RateLimitStatus, RateLimiter, Read, SessionStore, StoreFuture, Subscribed,
    Subscription, Update,
};

use commit::CommittedChange;
use shard::{Kept, Shard};

const SHARDS: usize = 64;
/// How many overdue sessions are handed out at once.
const OVERDUE_BATCH: usize = 1_024;
/// How often sessions that have outlived their lifetime are looked for.
const SWEEP_INTERVAL: Millis = Millis::new(1_000);

/// What the embedded store can be told.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Sessions at most, and tombstones at most.
    pub sessions_max: usize,
    /// Bytes that they may take.
    pub bytes_max: usize,
    /// How long a deleted session is remembered.
    pub tombstone_ttl: Millis,
    /// How long any other is.
    pub lifetimes: Lifetimes,
}

impl Default for Limit {
    /// As many as there are, an hour for what was deleted.
    fn default() -> Self {
        let lifetimes = Lifetimes::default();
        Self { sessions_max: usize::MAX, bytes_max: usize::MAX, tombstone_ttl: Millis::new(3_600_000), lifetimes }
    }
}

/// Sessions in this process. Cloning shares them.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    clock: Clock,
    limit: Limit,
    listener: Arc<dyn Listener>,
    metrics: Metrics,
    arrivals: Arc<Arrivals>,
    switches: Limits<SessionId>,
    requests: Limits<ClientAddress>,
    refusals: Limits<(SessionId, ClientAddress)>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    sessions: AtomicUsize,
    /// What they take.
    bytes: BytesBudget,
    alarm: Alarm,
    /// What is written down; `None` when nothing is.
    disk: Option<Disk>,
}

/// Where changes and the clock are written down.
struct Disk {
    journal: Arc<Journal>,
    timeline: Arc<Timeline>,
}

/// Wakes whoever waits for the earliest deadline.
struct Alarm {
    earliest_ms: AtomicU64,
    moved: Notify,
}

impl Alarm {
    fn set(&self, deadline: Timestamp) {
        if self.earliest_ms.fetch_min(deadline.as_ms(), Ordering::AcqRel) > deadline.as_ms() {
            self.moved.notify_one();
        }
    }
}

impl Memory {
    /// An empty store whose watched sessions' changes go to `listener`.
    pub fn new(clock: Clock, limit: Limit, listener: Arc<dyn Listener>, metrics: Metrics) -> Self {
        Self::with(clock, limit, listener, metrics, None)
    }

    /// A store of the sessions that are kept in `data`, and whose changes are on the disk before they are acknowledged.
    ///
    /// # Errors
    ///
    /// When what is kept there cannot be read.
    pub fn open(
        clock: Clock,
        limit: Limit,
        listener: Arc<dyn Listener>,
        metrics: Metrics,
        data: &DataDir,
    ) -> io::Result<Self> {
        let disk = Disk { journal: data.journal(), timeline: data.timeline() };
        let store = Self::with(clock, limit, listener, metrics, Some(disk));
        store.0.restore(data.remembered()?);
        Ok(store)
    }

    fn with(clock: Clock, limit: Limit, listener: Arc<dyn Listener>, metrics: Metrics, disk: Option<Disk>) -> Self {
        Self(Arc::new(Shared {
            arrivals: Arrivals::new(clock.clone()),
            clock,
            limit,
            listener,
            bytes: metrics.sessions_bytes(limit.bytes_max),
            metrics,
            switches: Limits::new(),
            requests: Limits::new(),
            refusals: Limits::new(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            sessions: AtomicUsize::new(0),
            alarm: Alarm { earliest_ms: AtomicU64::new(u64::MAX), moved: Notify::new() },
            disk,
        }))
    }
}

impl PartitionClocks for Memory {
    fn partitions(&self) -> usize {
        1
    }

    fn partition(&self, _: SessionId) -> usize {
        0
    }

    fn now(&self, _: Option<usize>) -> StoreFuture<'_, Timestamp> {
        self.now_of(0)
    }

    fn now_of(&self, _: usize) -> StoreFuture<'_, Timestamp> {
        let now = self.0.clock.now();
        Box::pin(async move { Ok(now) })
    }

    fn sleep_until(&self, _: usize, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(self.0.clock.sleep_until(at))
    }
}

impl SessionStore for Memory {
    fn arrive(&self, id: SessionId) -> Arrival {
        self.0.arrivals.enter(id)
    }

    fn read(&self, id: SessionId) -> StoreFuture<'_, Read> {
        let now = self.0.clock.now();
        let shard = self.0.shard(id).lock();
        let kept = shard.kept(id, now);
        let (record, is_tombstoned) = (kept.and_then(Kept::record).cloned(), matches!(kept, Some(Kept::Tombstone(_))));
        drop(shard);
        let snapshot = record.map(|record| record.snapshot());
        Box::pin(async move { Ok(Read { snapshot, is_tombstoned, now }) })
    }

    fn commit(&self, mut commit: Commit) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let counted = commit.rate.map(|rate| self.0.switches.enter(commit.id, rate, now));
            if let Some((quota, ends)) = counted.filter(|(quota, _)| quota.is_exceeded()) {
                self.0.switches.give_back(&commit.id, ends);
                return Ok(CommitOutcome::RateLimited(quota));
            }
            // A command that arrived before the deadline may be on its way: who waits for it listens before it looks again.
            let mut left = None;
            loop {
                if let Some(CommittedChange { committed, written, is_change }) = self.0.try_commit(&mut commit)? {
                    let outcome = match counted {
                        Some((quota, ends)) => self.0.counted(&commit, committed, quota, ends),
                        None => CommitOutcome::Decided(committed),
                    };
                    self.0.settled(written, is_change).await?;
                    return Ok(outcome);
                }
                match left.take() {
                    None => left = Some(self.0.arrivals.left(commit.id)),
                    Some(left) => left.await,
                }
            }
        })
    }

    fn subscribe(&self, id: SessionId) -> StoreFuture<'_, Subscribed> {
        let now = self.0.clock.now();
        let mut shard = self.0.shard(id).lock();
        *shard.watched.entry(id).or_insert(0) += 1;
        let record = shard.kept(id, now).and_then(Kept::record).cloned();
        drop(shard);
        let shared = Arc::clone(&self.0);
        let subscription = Subscription::new(move || shared.shard(id).lock().unwatch(id));
        let countdown = record.as_ref().map(|record| record.countdown()).unwrap_or_default();
        let snapshot = record.map(|record| record.snapshot());
        Box::pin(async move { Ok(Subscribed { snapshot, countdown, now, subscription }) })
    }

    fn pending_audit(&self, _: SessionId) -> StoreFuture<'_, PendingAudit> {
        Box::pin(async { Ok(PendingAudit::default()) })
    }
}

impl Deadlines for Memory {
    fn overdue(&self, _: usize) -> BoxFuture<'_, Vec<SessionId>> {
        Box::pin(async move {
            loop {
                let overdue = self.0.take_overdue();
                if !overdue.is_empty() {
                    return overdue;
                }
                let earliest = Timestamp::from_ms(self.0.alarm.earliest_ms.load(Ordering::Acquire));
                tokio::select! {
                    () = self.0.clock.sleep_until(earliest) => {}
                    () = self.0.alarm.moved.notified() => {}
                }
            }
        })
    }

    fn postpone(&self, _: usize, id: SessionId, pause: Duration) {
        let now = self.0.clock.now();
        let at = now + Millis::new(pause.as_millis() as u64);
        self.0.shard(id).lock().postpone(id, now, at);
        self.0.alarm.set(at);
    }

    fn running_clocks(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().deadlines.len()).sum()
    }
}

impl RateLimiter for Memory {
    fn hit_rate_limit(&self, client: ClientAddress, rate: RateLimit) -> StoreFuture<'_, RateLimitStatus> {
        let quota = self.0.requests.hit(client, rate, self.0.clock.now());
        Box::pin(async move { Ok(quota) })
    }
}

impl Backend for Memory {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(disk) = &self.0.disk else { return self.0.sweep().await };
            tokio::select! {
                () = self.0.sweep() => {}
                () = self.0.keep_time(&disk.timeline) => {}
                () = disk.journal.ended() => {}
            }
        })
    }

    fn unready_reason(&self) -> Option<String> {
        let why = self.0.disk.as_ref()?.journal.fault()?;
        Some(format!("the file that keeps sessions cannot be written: {why}"))
    }
}

impl Shared {
    fn shard(&self, id: SessionId) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// The outcome of a command that has a limit. A refused one counts against the client that sent it, and not against
    /// others.
    fn counted(&self, commit: &Commit, committed: Committed, quota: RateLimitStatus, ends: Timestamp) -> CommitOutcome {
        if committed.verdict.is_ok() {
            return CommitOutcome::Decided(Committed { quota: Some(quota), ..committed });
        }
        self.switches.give_back(&commit.id, ends);
        let refused = commit.client.map(|client| self.refusals.hit((commit.id, client), REFUSALS, committed.now));
        match refused.filter(RateLimitStatus::is_exceeded) {
            Some(refused) => CommitOutcome::RateLimited(refused),
            None => CommitOutcome::Decided(Committed { quota: Some(quota.given_back()), ..committed }),
        }
    }

    /// Takes away what has outlived its lifetime.
    async fn sweep(&self) {
        loop {
            panic_point("upkeep", "");
            let now = self.clock.now();
            for shard in &self.shards {
                self.drop_expired(&mut shard.lock(), now);
            }
            self.clock.sleep_until(now + SWEEP_INTERVAL).await;
        }
    }

    fn drop_expired(&self, shard: &mut Shard, now: Timestamp) {
        let mut lapsed = Vec::new();
        shard.remove_expired(now, |id, entry| {
            self.forget(id);
            self.bytes.remove(entry.size);
            if let Some(record) = entry.kept.record() {
                self.leave(1);
                lapsed.push((id, record.session().tag()));
            }
        });
        for (id, StateTag { epoch, version }) in lapsed {
            if shard.watched.contains_key(&id) {
                let (tag, frame) = (StateTag { epoch, version: version + 1 }, wire::lapsed(id, now));
                self.listener.update(id, &Update::Deleted { tag, frame });
            }
        }
        if let Some((due, _)) = shard.deadlines.first() {
            self.alarm.set(*due);
        }
    }

    fn forget(&self, id: SessionId) {
        if let Some(disk) = &self.disk {
            disk.journal.forget(id);
        }
    }

    /// Sessions whose deadline has passed, and the alarm set for the next one.
    fn take_overdue(&self) -> Vec<SessionId> {
        // Reset before looking: a deadline that is set meanwhile lowers it again and wakes the next wait.
        self.alarm.earliest_ms.store(u64::MAX, Ordering::Release);
        let now = self.clock.now();
        let mut overdue = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let due = shard.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
            overdue.extend(due.map(|(_, id)| *id).take(OVERDUE_BATCH - overdue.len()));
            let later = (now + Millis::new(1), SessionId(Uuid::from_bits(0)));
            if let Some((deadline, _)) = shard.deadlines.range(later..).next() {
                self.alarm.earliest_ms.fetch_min(deadline.as_ms(), Ordering::AcqRel);
            }
        }
        overdue
    }
}
