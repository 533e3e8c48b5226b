//! How a decision is asked for and carried out: under the lock of one shard, which is all that a transaction takes
//! here. Does not know who waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::{SessionId, Timestamp};
use crate::store::file::{Change, Written};
use crate::store::{
    Arrival, Bound, Commit, Committed, Decision, DecisionContext, Mutation, Record, StoreError, Update,
};

use super::shard::{Entry, Kept, Shard};
use super::{SHARDS, Shared};

/// A session that takes more, in bytes, is large.
const LARGE: usize = 16 << 10;
/// How much of what sessions may take is taken when large ones are refused.
const PERCENT_LARGE: usize = 80;

/// A decision that was carried out, and what its answer has to wait for.
pub(super) struct CommittedChange {
    pub(super) committed: Committed,
    pub(super) written: Option<Written>,
    pub(super) is_change: bool,
}

impl Shared {
    /// Waits until what an answer says, or is based on, is on the disk.
    pub(super) async fn settled(&self, written: Option<Written>, is_change: bool) -> Result<(), StoreError> {
        let (Some(disk), Some(written)) = (&self.disk, written) else { return Ok(()) };
        match disk.journal.wait(written, is_change).await {
            true => Ok(()),
            false if is_change => Err(StoreError::UnknownOutcome),
            false => Err(StoreError::Unavailable("the file cannot be written")),
        }
    }

    /// Enters a change into the journal, if there is one; returns its number there.
    pub(super) fn enter(
        &self,
        id: SessionId,
        change: impl FnOnce() -> Change,
    ) -> Result<(u64, Option<Written>), StoreError> {
        let Some(disk) = &self.disk else { return Ok((0, None)) };
        disk.journal.enter(id, change()).map(|(number, written)| (number, Some(written)))
    }

    /// `None` when the deadline must not be taken for passed yet.
    pub(super) fn try_commit(&self, commit: &mut Commit) -> Result<Option<CommittedChange>, StoreError> {
        let id = commit.id;
        let mut shard = self.shard(id).lock();
        let now = self.clock.now();
        let entry = shard.entries.get(&id).filter(|entry| !entry.is_over(now));
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
        let current = DecisionContext {
            record,
            epoch: entry.map_or(0, |entry| entry.next_epoch(now)),
            at: arrived.max(last_change),
            now,
            is_unreadable: false,
            changed_since_arrival: entry
                .is_some_and(|entry| commit.arrival.as_ref().is_some_and(|arrival| entry.committed > arrival.moment())),
        };
        let judged = commit.judge(current, &self.metrics.supervisor);
        // It is judged: whatever the answer still waits for, nobody waits for it.
        drop(commit.arrival.take());
        let Decision { write, verdict } = judged?;
        let is_change = !matches!(write, Mutation::Nothing | Mutation::Discard);
        if let Some(passed) = deadline.filter(|&deadline| deadline <= now && is_change) {
            self.metrics.fired(passed, now.as_ms() * 1_000);
        }
        let (record, is_tombstoned, written) = match write {
            Mutation::Nothing | Mutation::Discard => {
                // What an answer is based on must not be lost after it.
                let number = entry.map_or(0, |entry| entry.number);
                let written = match &self.disk {
                    Some(disk) => disk.journal.settled(number)?,
                    None => None,
                };
                let is_tombstoned = entry.is_some_and(|entry| matches!(entry.kept, Kept::Tombstone(_)));
                (record.cloned(), is_tombstoned, written)
            }
            Mutation::Put { record, notices, entry } => {
                let kept = Kept::Session(Arc::clone(&record));
                let size = kept.size();
                if is_new {
                    self.admit(size)?;
                }
                let expires = now + record.lifetime(&self.limit.lifetimes, now);
                let entered = self.enter(id, || Change::put(&record, entry, expires));
                let (number, written) = entered.inspect_err(|_| self.leave(usize::from(is_new)))?;
                let replaced = self.put(&mut shard, id, kept, size, expires, number);
                self.leave(usize::from(is_new && replaced));
                if shard.watched.contains_key(&id) {
                    self.tell(id, &record, notices);
                }
                (Some(record), false, written)
            }
            Mutation::Delete { tag, notice, last, entry } => {
                let expires = now + self.limit.tombstone_ttl;
                let (number, written) = self.enter(id, || Change::delete(tag, last, entry, expires))?;
                let kept = Kept::Tombstone(tag);
                let size = kept.size();
                let replaced = self.put(&mut shard, id, kept, size, expires, number);
                self.leave(usize::from(replaced));
                shard.buried.push_back((tag, id));
                let gone = shard.forget(self.limit.sessions_max.div_ceil(SHARDS), now, |id| self.forget(id));
                self.bytes.remove(gone);
                if shard.watched.contains_key(&id) {
                    self.listener.update(id, &Update::Deleted { tag, frame: notice });
                }
                (None, true, written)
            }
        };
        let committed = Committed { record, is_tombstoned, verdict, quota: None, now };
        Ok(Some(CommittedChange { committed, written, is_change }))
    }

    /// Takes in one more session, if there is room for it. What is left near the end is for small ones.
    fn admit(&self, size: usize) -> Result<(), StoreError> {
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

    /// So many sessions are gone.
    pub(super) fn leave(&self, sessions: usize) {
        self.sessions.fetch_sub(sessions, Ordering::Relaxed);
    }

    /// Returns whether there was a session before.
    fn put(&self, shard: &mut Shard, id: SessionId, kept: Kept, size: usize, expires: Timestamp, number: u64) -> bool {
        let due = kept.wake_at();
        if let Some(due) = due {
            self.alarm.set(due);
        }
        let committed = self.clock.moment();
        self.bytes.add(size);
        let (is_postponed, is_restored) = (false, false);
        let old = shard.insert(id, Entry { kept, size, committed, expires, due, is_postponed, is_restored, number });
        self.bytes.remove(old.as_ref().map_or(0, |old| old.size));
        old.is_some_and(|old| old.kept.record().is_some())
    }

    fn tell(&self, id: SessionId, record: &Record, notices: Vec<bytes::Bytes>) {
        let (tag, frame) = (record.session().tag(), record.encoded().frame());
        self.listener.update(id, &Update::State { tag, frame, countdown: record.countdown() });
        for notice in notices {
            self.listener.update(id, &Update::Notice(notice));
        }
    }
}
