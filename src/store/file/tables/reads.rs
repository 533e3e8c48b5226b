//! Reads of the database: what a start restores, pages of history, and changes that may be removed. Blocking. Does not
//! know what is written meanwhile.

use bytes::Bytes;
use redb::{ReadableDatabase, ReadableTable};

use crate::engine::{SessionId, StateTag, Timestamp};
use crate::store::contract::PageLimit;
use crate::wire::{self, EventIds, Revocation};

use super::database::Tables;
use super::revocations;
use super::schema::{CHANGES, ChangeKey, FIRST, Fault, LAST, RestoredSession, SESSIONS, fault, key, restored, tag};

/// Changes that need not be kept any longer.
pub(in crate::store::file) struct OldChanges {
    pub(in crate::store::file) keys: Vec<ChangeKey>,
    /// After which to go on; `None` when all were looked at.
    pub(in crate::store::file) next: Option<ChangeKey>,
}

/// The last change of a session.
pub(in crate::store::file) struct LastChange {
    pub(in crate::store::file) tag: StateTag,
    pub(in crate::store::file) job: Bytes,
    /// The latest events, oldest first.
    pub(in crate::store::file) events: EventIds,
}

/// Changes that are looked at in one go, and removed in one transaction.
const OLD_MAX: usize = 1_000;

impl Tables {
    /// The newest of every session.
    pub(in crate::store::file) fn restored(&self) -> Result<Vec<RestoredSession>, Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let mut all = Vec::new();
        for row in transaction.open_table(SESSIONS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            all.push(restored(key.value(), value.value())?);
        }
        Ok(all)
    }

    /// What was revoked.
    pub(in crate::store::file) fn revocations(&self) -> Result<Vec<Revocation>, Fault> {
        let database = self.database.read();
        revocations::read(&database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?)
    }

    /// A session's last change.
    pub(in crate::store::file) fn last(&self, id: SessionId) -> Result<Option<LastChange>, Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let changes = transaction.open_table(CHANGES).map_err(fault)?;
        let range = changes.range::<&[u8; 32]>(&key(id, FIRST)..=&key(id, LAST)).map_err(fault)?;
        let (mut last, mut latest) = (None, Vec::with_capacity(wire::KEYED_EVENTS_MAX));
        for row in range.rev().take(wire::KEYED_EVENTS_MAX) {
            let (key, job) = row.map_err(fault)?;
            latest.extend(wire::read_job_header(job.value()).map(|name| name.event));
            last = last.or_else(|| Some((tag(key.value()), Bytes::copy_from_slice(job.value()))));
        }
        let mut events = EventIds::default();
        latest.into_iter().rev().for_each(|event| events.push(event));
        Ok(last.map(|(tag, job)| LastChange { tag, job, events }))
    }

    /// Changes after one from before `limit`, but for the newest of a session that is kept.
    pub(in crate::store::file) fn old(&self, limit: Timestamp, after: Option<ChangeKey>) -> Result<OldChanges, Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let (changes, sessions) =
            (transaction.open_table(CHANGES).map_err(fault)?, transaction.open_table(SESSIONS).map_err(fault)?);
        let is_kept = |key: &ChangeKey| match key.first_chunk::<16>() {
            Some(id) => sessions.get(id).map(|kept| kept.is_some()).map_err(fault),
            None => Ok(true),
        };
        let is_old = |key: &ChangeKey, job: &[u8]| {
            // An epoch is named by when it began: what came later is not read.
            tag(key).epoch < limit.as_ms() && wire::read_job_header(job).is_some_and(|name| name.at < limit)
        };
        let (mut keys, mut looked, mut last) = (Vec::new(), 0, None::<(ChangeKey, bool)>);
        for row in changes.range::<&ChangeKey>(&after.unwrap_or([0; 32])..).map_err(fault)? {
            let (key, job) = row.map_err(fault)?;
            let (key, is_first) = (*key.value(), after == Some(*key.value()));
            if let Some((before, is_old)) = last.filter(|_| !is_first)
                && is_old
                && (before[..16] == key[..16] || !is_kept(&before)?)
            {
                keys.push(before);
            }
            last = Some((key, is_old(&key, job.value())));
            looked += 1;
            if looked > OLD_MAX {
                // It is looked at again, with what follows it.
                return Ok(OldChanges { keys, next: Some(key) });
            }
        }
        if let Some((key, true)) = last
            && !is_kept(&key)?
        {
            keys.push(key);
        }
        Ok(OldChanges { keys, next: None })
    }

    /// How many changes of a session there are.
    pub(in crate::store::file) fn count(&self, id: SessionId) -> Result<u64, Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let changes = transaction.open_table(CHANGES).map_err(fault)?;
        let range = changes.range::<&[u8; 32]>(&key(id, FIRST)..=&key(id, LAST)).map_err(fault)?;
        Ok(range.count() as u64)
    }

    /// The jobs of a session's changes after `after`, as many as fit, and whether there are more.
    pub(in crate::store::file) fn jobs(
        &self,
        id: SessionId,
        after: Option<StateTag>,
        mut room: PageLimit,
    ) -> Result<(Vec<(StateTag, Bytes)>, bool), Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let changes = transaction.open_table(CHANGES).map_err(fault)?;
        let range = changes.range::<&[u8; 32]>(&key(id, after.unwrap_or(FIRST))..=&key(id, LAST)).map_err(fault)?;
        let mut jobs = Vec::new();
        for row in range {
            let (key, job) = row.map_err(fault)?;
            let tag = tag(key.value());
            if after == Some(tag) {
                continue;
            }
            let Some(left) = room.after(job.value().len()) else { return Ok((jobs, true)) };
            room = left;
            jobs.push((tag, Bytes::copy_from_slice(job.value())));
        }
        Ok((jobs, false))
    }
}
