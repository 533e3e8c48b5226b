//! The embedded store: sessions in this process, in shards that are locked for the length of a decision. With a data
//! directory, changes are entered into its journal under the same lock and waited for after it. Time is the operating
//! system's. Does not know what a session is beyond its record, nor how the journal is written.

mod shard;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp, Uuid};

use super::arrival::{Arrival, Arrivals};
use super::file::{self, Change, DataDir, Journal, Written};
use super::limits::Limits;
use super::metrics::Metrics;
use super::{
    Answer, Commit, Committed, Current, Decision, Listener, Queued, Quota, Rate, Read, Record, Store, StoreError,
    Update, Wait, Watch, Watched, Write,
};

use shard::{Entry, Kept, Shard};

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
    /// How long a deleted session is remembered.
    pub tombstone_ttl: Millis,
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
    requests: Limits<IpAddr>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    sessions: AtomicUsize,
    alarm: Alarm,
    /// Where changes are written down; `None` when they are not.
    journal: Option<Arc<Journal>>,
}

/// A decision that was carried out, and what its answer has to wait for.
struct Done {
    committed: Committed,
    written: Option<Written>,
    is_change: bool,
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
        let store = Self::with(clock, limit, listener, metrics, Some(data.journal()));
        store.0.restore(data.remembered()?);
        Ok(store)
    }

    fn with(
        clock: Clock,
        limit: Limit,
        listener: Arc<dyn Listener>,
        metrics: Metrics,
        journal: Option<Arc<Journal>>,
    ) -> Self {
        Self(Arc::new(Shared {
            arrivals: Arrivals::new(clock.clone()),
            clock,
            limit,
            listener,
            metrics,
            switches: Limits::new(),
            requests: Limits::new(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            sessions: AtomicUsize::new(0),
            alarm: Alarm { earliest_ms: AtomicU64::new(u64::MAX), moved: Notify::new() },
            journal,
        }))
    }
}

impl Store for Memory {
    fn now(&self) -> Answer<'_, Timestamp> {
        let now = self.0.clock.now();
        Box::pin(async move { Ok(now) })
    }

    fn arrive(&self, id: SessionId) -> Arrival {
        self.0.arrivals.enter(id)
    }

    fn read(&self, id: SessionId) -> Answer<'_, Read> {
        let now = self.0.clock.now();
        let shard = self.0.shard(id).lock();
        let (record, is_buried) = (shard.record(id, now), shard.is_deleted(id, now));
        drop(shard);
        let snapshot = record.map(|record| record.snapshot());
        Box::pin(async move { Ok(Read { snapshot, is_buried, now }) })
    }

    fn commit(&self, mut commit: Commit) -> Answer<'_, Committed> {
        Box::pin(async move {
            let quota = commit.rate.map(|rate| self.0.switches.hit(commit.id, rate, self.0.clock.now()));
            if quota.is_some_and(|quota| quota.is_exceeded()) {
                return Ok(Committed { record: None, verdict: None, quota, now: self.0.clock.now() });
            }
            loop {
                if let Some(Done { committed, written, is_change }) = self.0.try_commit(&mut commit)? {
                    self.0.settled(written, is_change).await?;
                    return Ok(Committed { quota, ..committed });
                }
                // A command that arrived before the deadline is between its arrival and this very lock.
                tokio::task::yield_now().await;
            }
        })
    }

    fn watch(&self, id: SessionId) -> Answer<'_, Watched> {
        let now = self.0.clock.now();
        let mut shard = self.0.shard(id).lock();
        *shard.watched.entry(id).or_insert(0) += 1;
        let record = shard.record(id, now);
        drop(shard);
        let shared = Arc::clone(&self.0);
        let watch = Watch::new(move || shared.shard(id).lock().unwatch(id));
        let countdown = record.as_ref().map(|record| record.countdown()).unwrap_or_default();
        let snapshot = record.map(|record| record.snapshot());
        Box::pin(async move { Ok(Watched { snapshot, countdown, now, watch }) })
    }

    fn sleep_until(&self, at: Timestamp) -> Wait<'_, ()> {
        Box::pin(self.0.clock.sleep_until(at))
    }

    fn overdue(&self) -> Wait<'_, Vec<SessionId>> {
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

    fn queued(&self, _: SessionId) -> Answer<'_, Queued> {
        Box::pin(async { Ok(Queued::default()) })
    }

    fn active(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().deadlines.len()).sum()
    }

    fn count(&self, client: IpAddr, rate: Rate) -> Answer<'_, Quota> {
        let quota = self.0.requests.hit(client, rate, self.0.clock.now());
        Box::pin(async move { Ok(quota) })
    }

    fn upkeep(&self) -> Wait<'_, ()> {
        Box::pin(async move {
            let Some(journal) = &self.0.journal else { return self.0.sweep().await };
            tokio::select! {
                () = self.0.sweep() => {}
                () = journal.ended() => {}
            }
        })
    }

    fn missing(&self) -> Option<String> {
        let why = self.0.journal.as_ref()?.fault()?;
        Some(format!("the file that keeps sessions cannot be written: {why}"))
    }
}

impl Shared {
    fn shard(&self, id: SessionId) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// Takes in what was kept. Lifetimes that are over are found by the upkeep.
    fn restore(&self, mut remembered: Vec<file::Remembered>) {
        // Tombstones are forgotten oldest first.
        remembered.sort_unstable_by_key(|remembered| match &remembered.kept {
            file::Kept::Session(record) => record.session().epoch,
            file::Kept::Tombstone(tag) => tag.epoch,
        });
        let committed = self.clock.moment();
        for file::Remembered { id, kept, expires } in remembered {
            let mut shard = self.shard(id).lock();
            let kept = match kept {
                file::Kept::Session(record) => {
                    self.sessions.fetch_add(1, Ordering::Relaxed);
                    Kept::Session(record)
                }
                file::Kept::Tombstone(tag) => {
                    shard.buried.push_back((tag, id));
                    Kept::Tombstone(tag)
                }
            };
            if let Some(deadline) = kept.deadline() {
                self.alarm.set(deadline);
            }
            shard.insert(id, Entry { kept, committed, expires, is_restored: true, number: 0 });
        }
    }

    /// Waits until what an answer says, or is based on, is on the disk.
    async fn settled(&self, written: Option<Written>, is_change: bool) -> Result<(), StoreError> {
        let (Some(journal), Some(written)) = (&self.journal, written) else { return Ok(()) };
        match journal.wait(written, is_change).await {
            true => Ok(()),
            false if is_change => Err(StoreError::UnknownOutcome),
            false => Err(StoreError::Unavailable("the file cannot be written")),
        }
    }

    /// Takes away what has outlived its lifetime.
    async fn sweep(&self) {
        loop {
            let now = self.clock.now();
            for shard in &self.shards {
                let gone = shard.lock().remove_expired(now, |id| self.forget(id));
                self.leave(gone);
            }
            self.clock.sleep_until(now + SWEEP_INTERVAL).await;
        }
    }

    fn forget(&self, id: SessionId) {
        if let Some(journal) = &self.journal {
            journal.forget(id);
        }
    }

    /// Enters a change into the journal, if there is one; returns its number there.
    fn enter(&self, id: SessionId, change: impl FnOnce() -> Change) -> Result<(u64, Option<Written>), StoreError> {
        let Some(journal) = &self.journal else { return Ok((0, None)) };
        journal.enter(id, change()).map(|(number, written)| (number, Some(written)))
    }

    /// `None` when the deadline must not be taken for passed yet.
    fn try_commit(&self, commit: &mut Commit) -> Result<Option<Done>, StoreError> {
        let id = commit.id;
        let mut shard = self.shard(id).lock();
        let now = self.clock.now();
        let entry = shard.entries.get(&id).filter(|entry| entry.expires > now);
        let record = entry.and_then(|entry| entry.kept.record());
        let is_new = record.is_none();
        let deadline = entry.and_then(|entry| entry.kept.deadline());
        if let Some(deadline) = deadline.filter(|&deadline| deadline <= now)
            && self.arrivals.any_in_time(id, commit.arrival.as_ref(), |at, _| at < deadline)
        {
            return Ok(None);
        }

        let arrived = commit.arrival.as_ref().map_or(now, Arrival::at);
        let last_change = record.map_or(Timestamp::default(), |record| record.session().updated_at);
        let Decision { write, verdict } = (commit.decide)(Current {
            record,
            epoch: entry.map_or(0, |entry| entry.next_epoch(now)),
            at: arrived.max(last_change),
            now,
            changed_since_arrival: entry
                .is_some_and(|entry| commit.arrival.as_ref().is_some_and(|arrival| entry.committed > arrival.moment())),
        });
        let is_change = !matches!(write, Write::Nothing);
        if let Some(passed) = deadline.filter(|&deadline| deadline <= now && is_change) {
            self.metrics.fired(passed, now.as_ms() * 1_000);
        }
        let (record, written) = match write {
            Write::Nothing => {
                // What an answer is based on must not be lost after it.
                let number = entry.map_or(0, |entry| entry.number);
                let written = match &self.journal {
                    Some(journal) => journal.settled(number)?,
                    None => None,
                };
                (record.cloned(), written)
            }
            Write::Put { record, notices, entry } => {
                if is_new && !self.admit() {
                    return Err(StoreError::Unavailable("the server holds as many sessions as it may"));
                }
                let expires = now + record.lifetime(now);
                let entered = self.enter(id, || Change::put(&record, entry, expires));
                let (number, written) = entered.inspect_err(|_| self.leave(usize::from(is_new)))?;
                let replaced = self.put(&mut shard, id, Kept::Session(Arc::clone(&record)), expires, number);
                self.leave(usize::from(is_new && replaced));
                if shard.watched.contains_key(&id) {
                    self.tell(id, &record, notices);
                }
                (Some(record), written)
            }
            Write::Delete { tag, notice, last, entry } => {
                let expires = now + self.limit.tombstone_ttl;
                let (number, written) = self.enter(id, || Change::delete(tag, last, entry, expires))?;
                let replaced = self.put(&mut shard, id, Kept::Tombstone(tag), expires, number);
                self.leave(usize::from(replaced));
                shard.buried.push_back((tag, id));
                shard.forget(self.limit.sessions_max.div_ceil(SHARDS), now, |id| self.forget(id));
                if shard.watched.contains_key(&id) {
                    self.listener.update(id, &Update::Deleted { tag, frame: notice });
                }
                (None, written)
            }
        };
        let committed = Committed { record, verdict: Some(verdict), quota: None, now };
        Ok(Some(Done { committed, written, is_change }))
    }

    /// Takes in one more session, if there is room for it.
    fn admit(&self) -> bool {
        let one_more = |held: usize| (held < self.limit.sessions_max).then_some(held + 1);
        self.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// So many sessions are gone.
    fn leave(&self, sessions: usize) {
        self.sessions.fetch_sub(sessions, Ordering::Relaxed);
    }

    /// Returns whether there was a session before.
    fn put(&self, shard: &mut Shard, id: SessionId, kept: Kept, expires: Timestamp, number: u64) -> bool {
        if let Some(deadline) = kept.deadline() {
            self.alarm.set(deadline);
        }
        let committed = self.clock.moment();
        let old = shard.insert(id, Entry { kept, committed, expires, is_restored: false, number });
        old.is_some_and(|old| old.kept.record().is_some())
    }

    fn tell(&self, id: SessionId, record: &Record, notices: Vec<bytes::Bytes>) {
        let (tag, frame) = (record.session().tag(), record.encoded().frame());
        self.listener.update(id, &Update::State { tag, frame, countdown: record.countdown() });
        for notice in notices {
            self.listener.update(id, &Update::Notice(notice));
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
