//! The embedded store: sessions in this process, in shards that are locked for the length of a decision.
//! Time is the operating system's. Does not know what a session is beyond its record.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::{Clock, Moment};
use crate::engine::{Millis, SessionId, StateTag, Timestamp, Uuid};

use super::arrival::{Arrival, Arrivals};
use super::limits::Limits;
use super::metrics::Metrics;
use super::{
    Answer, Commit, Committed, Current, Decision, Listener, Queued, Quota, Rate, Read, Record, Store, StoreError,
    Update, Wait, Watch, Watched, Write,
};

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
}

/// Everything about a session lives in its shard and changes under one lock.
#[derive(Default)]
struct Shard {
    entries: HashMap<SessionId, Entry>,
    watched: HashMap<SessionId, usize>,
    deadlines: BTreeSet<(Timestamp, SessionId)>,
    expiries: BTreeSet<(Timestamp, SessionId)>,
    /// Deleted sessions, oldest first; some may have come back.
    buried: VecDeque<(StateTag, SessionId)>,
}

struct Entry {
    kept: Kept,
    /// When it was committed, to be compared with arrivals.
    committed: Moment,
    expires: Timestamp,
}

enum Kept {
    Session(Arc<Record>),
    Tombstone(StateTag),
}

impl Kept {
    fn record(&self) -> Option<&Arc<Record>> {
        match self {
            Kept::Session(record) => Some(record),
            Kept::Tombstone(_) => None,
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.record().and_then(|record| record.session().deadline())
    }
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
                if let Some(committed) = self.0.try_commit(&mut commit)? {
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
            loop {
                let now = self.0.clock.now();
                for shard in &self.0.shards {
                    let gone = shard.lock().remove_expired(now);
                    self.0.leave(gone);
                }
                self.0.clock.sleep_until(now + SWEEP_INTERVAL).await;
            }
        })
    }

    fn missing(&self) -> Option<String> {
        None
    }
}

impl Shared {
    fn shard(&self, id: SessionId) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// `None` when the deadline must not be taken for passed yet.
    fn try_commit(&self, commit: &mut Commit) -> Result<Option<Committed>, StoreError> {
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
            epoch: entry.map_or(0, |entry| match &entry.kept {
                Kept::Session(record) => record.session().epoch,
                Kept::Tombstone(tag) => tag.epoch + 1,
            }),
            at: arrived.max(last_change),
            now,
            changed_since_arrival: entry
                .is_some_and(|entry| commit.arrival.as_ref().is_some_and(|arrival| entry.committed > arrival.moment())),
        });
        if let Some(passed) = deadline.filter(|&deadline| deadline <= now && !matches!(write, Write::Nothing)) {
            self.metrics.fired(passed, now.as_ms() * 1_000);
        }
        let record = match write {
            Write::Nothing => record.cloned(),
            Write::Put { record, notices, .. } => {
                if is_new && !self.admit() {
                    return Err(StoreError::Unavailable("the server holds as many sessions as it may"));
                }
                let expires = now + record.lifetime(now);
                let replaced = self.put(&mut shard, id, Kept::Session(Arc::clone(&record)), expires);
                self.leave(usize::from(is_new && replaced));
                if shard.watched.contains_key(&id) {
                    self.tell(id, &record, notices);
                }
                Some(record)
            }
            Write::Delete { tag, notice, .. } => {
                let replaced = self.put(&mut shard, id, Kept::Tombstone(tag), now + self.limit.tombstone_ttl);
                self.leave(usize::from(replaced));
                shard.buried.push_back((tag, id));
                shard.forget(self.limit.sessions_max.div_ceil(SHARDS), now);
                if shard.watched.contains_key(&id) {
                    self.listener.update(id, &Update::Deleted { tag, frame: notice });
                }
                None
            }
        };
        Ok(Some(Committed { record, verdict: Some(verdict), quota: None, now }))
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
    fn put(&self, shard: &mut Shard, id: SessionId, kept: Kept, expires: Timestamp) -> bool {
        let deadline = kept.deadline();
        let old = shard.entries.insert(id, Entry { kept, committed: self.clock.moment(), expires });
        let old_deadline = old.as_ref().and_then(|old| old.kept.deadline());
        let old_expires = old.as_ref().map(|old| old.expires);
        reindex(&mut shard.expiries, id, old_expires, Some(expires));
        reindex(&mut shard.deadlines, id, old_deadline, deadline);
        if let Some(deadline) = deadline {
            self.alarm.set(deadline);
        }
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

impl Shard {
    fn record(&self, id: SessionId, now: Timestamp) -> Option<Arc<Record>> {
        self.entries.get(&id).filter(|entry| entry.expires > now)?.kept.record().cloned()
    }

    fn is_deleted(&self, id: SessionId, now: Timestamp) -> bool {
        let entry = self.entries.get(&id).filter(|entry| entry.expires > now);
        entry.is_some_and(|entry| matches!(entry.kept, Kept::Tombstone(_)))
    }

    fn unwatch(&mut self, id: SessionId) {
        if let Some(watchers) = self.watched.get_mut(&id) {
            *watchers -= 1;
            if *watchers == 0 {
                self.watched.remove(&id);
            }
        }
    }

    /// Drops the oldest tombstones beyond `most`. An epoch that lies before now cannot come back in a process
    /// whose time does not run backwards.
    fn forget(&mut self, most: usize, now: Timestamp) {
        while self.buried.len() > most
            && let Some((tag, id)) = self.buried.pop_front_if(|(tag, _)| tag.epoch < now.as_ms())
        {
            if self.is_buried(tag, id)
                && let Some(entry) = self.entries.remove(&id)
            {
                reindex(&mut self.expiries, id, Some(entry.expires), None);
            }
        }
    }

    /// Whether the tombstone `tag` still stands.
    fn is_buried(&self, tag: StateTag, id: SessionId) -> bool {
        self.entries.get(&id).is_some_and(|entry| matches!(entry.kept, Kept::Tombstone(kept) if kept == tag))
    }

    /// Returns how many sessions went.
    fn remove_expired(&mut self, now: Timestamp) -> usize {
        let mut gone = 0;
        while let Some(&(expires, id)) = self.expiries.first().filter(|(expires, _)| *expires <= now) {
            self.expiries.remove(&(expires, id));
            if let Some(entry) = self.entries.remove(&id) {
                reindex(&mut self.deadlines, id, entry.kept.deadline(), None);
                gone += usize::from(entry.kept.record().is_some());
            }
        }
        while let Some(&(tag, id)) = self.buried.front()
            && !self.is_buried(tag, id)
        {
            self.buried.pop_front();
        }
        gone
    }
}

fn reindex(
    index: &mut BTreeSet<(Timestamp, SessionId)>,
    id: SessionId,
    old: Option<Timestamp>,
    new: Option<Timestamp>,
) {
    if old != new {
        if let Some(old) = old {
            index.remove(&(old, id));
        }
        if let Some(new) = new {
            index.insert((new, id));
        }
    }
}
