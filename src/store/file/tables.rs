//! The database: its tables and how they are written and read. Blocking. Does not know who waits for a write.
//!
//! | table | key | value |
//! |---|---|---|
//! | `changes` | session id, epoch, version, big-endian | the audit job |
//! | `sessions` | session id, big-endian | when it expires (ms, big-endian), then the newest state or tombstone as `wire::keep` and `wire::encode_tombstone` write it |
//!
//! `changes` is all that ever happened; `sessions` is what a start has to read.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};
use tracing::warn;

use crate::engine::{SessionId, StateTag, Timestamp, Uuid};
use crate::store::PageLimit;
use crate::wire::{self, RecordHeader};

use super::change::{Change, Made};
use super::{Kept, Record, Remembered};

const CHANGES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("changes");
const SESSIONS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("sessions");

/// Pages that are kept in memory. What is written is read by a start and by whoever looks at history.
const CACHE_BYTES: usize = 64 << 20;
const EXPIRES_LEN: usize = 8;
/// Bytes that are copied in one transaction.
const COPIED_BYTES: usize = 8 << 20;

/// An open database, or one that has to be opened again, and the lock on its directory.
pub(super) struct Tables {
    path: PathBuf,
    database: RwLock<Option<Database>>,
    lock: File,
}

/// What is to be written of a session.
pub(super) enum Line<'a> {
    /// A change.
    Change(SessionId, &'a Change),
    /// The session is not kept any longer; its history is.
    Forget(SessionId),
    /// All that was written of the session so far is gone, whether it is kept or not.
    Erase(SessionId),
    /// These changes are gone.
    Remove(&'a [ChangeKey]),
}

/// What a change is called in the database.
pub(super) type ChangeKey = [u8; 32];

/// Changes that need not be kept any longer.
pub(super) struct Old {
    pub(super) keys: Vec<ChangeKey>,
    /// After which to go on; `None` when all were looked at.
    pub(super) next: Option<ChangeKey>,
}

/// Changes that are looked at in one go, and removed in one transaction.
const OLD_MAX: usize = 1_000;

impl Line<'_> {
    /// Whose newest state it changes.
    fn kept(&self) -> Option<SessionId> {
        match self {
            Line::Change(id, _) | Line::Forget(id) => Some(*id),
            Line::Erase(_) | Line::Remove(_) => None,
        }
    }
}

/// Why the database could not do something: for the log, and for whoever asks whether the server is ready.
pub(super) type Fault = String;

impl Tables {
    pub(super) fn open(path: &Path, lock: File) -> Result<Self, Fault> {
        let database = open(path).map_err(fault)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)), lock })
    }

    /// Writes all lines in one transaction, which is on the disk when this returns. Writing the same again changes
    /// nothing. After a fault it is not known what was written.
    pub(super) fn write(&self, lines: &[Line<'_>]) -> Result<(), Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_write().map_err(fault)?;
        {
            let mut changes = transaction.open_table(CHANGES).map_err(fault)?;
            let mut sessions = transaction.open_table(SESSIONS).map_err(fault)?;
            let mut job = Vec::new();
            for line in lines {
                match line {
                    Line::Change(id, change) => {
                        let members = change.record.encoded().members();
                        job.clear();
                        wire::encode_job(&mut job, change.event, *id, change.tag, &change.entry, &members);
                        changes.insert(&key(*id, change.tag), job.as_slice()).map_err(fault)?;
                    }
                    Line::Erase(id) => {
                        changes
                            .retain_in::<&[u8; 32], _>(&key(*id, FIRST)..=&key(*id, LAST), |_, _| false)
                            .map_err(fault)?;
                    }
                    Line::Remove(keys) => {
                        for key in *keys {
                            changes.remove(key).map_err(fault)?;
                        }
                    }
                    Line::Forget(_) => {}
                }
            }
            for (id, line) in newest(lines) {
                let id = id.0.bits().to_be_bytes();
                match line {
                    Line::Change(_, change) => {
                        sessions.insert(&id, value(change).as_slice()).map_err(fault)?;
                    }
                    Line::Forget(_) => {
                        sessions.remove(&id).map_err(fault)?;
                    }
                    Line::Erase(_) | Line::Remove(_) => {}
                }
            }
        }
        transaction.commit().map_err(fault)
    }

    /// Opens the database again: after a fault it takes nothing any more.
    pub(super) fn reopen(&self) -> Result<(), Fault> {
        let mut database = self.database.write();
        drop(database.take());
        *database = Some(open(&self.path).map_err(fault)?);
        Ok(())
    }

    /// Lets the database and its directory go, whoever still knows of them.
    pub(super) fn close(&self) -> Result<(), Fault> {
        let closed = self.database.write().take().map_or(Ok(()), |database| database.close().map_err(fault));
        closed.and(self.lock.unlock().map_err(fault))
    }

    /// The newest of every session.
    pub(super) fn remembered(&self) -> Result<Vec<Remembered>, Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let mut all = Vec::new();
        for row in transaction.open_table(SESSIONS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            let id = SessionId(Uuid::from_bits(u128::from_be_bytes(*key.value())));
            let remembered = remembered(id, value.value());
            all.push(remembered.ok_or_else(|| format!("what is kept of session {id} cannot be read"))?);
        }
        Ok(all)
    }

    /// The job of a session's last change.
    pub(super) fn last(&self, id: SessionId) -> Result<Option<(StateTag, Bytes)>, Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let changes = transaction.open_table(CHANGES).map_err(fault)?;
        let last = changes.range::<&[u8; 32]>(&key(id, FIRST)..=&key(id, LAST)).map_err(fault)?.next_back();
        let last = last.transpose().map_err(fault)?;
        Ok(last.map(|(key, job)| (tag(key.value()), Bytes::copy_from_slice(job.value()))))
    }

    /// Changes after one from before `limit`, but for the newest of a session that is kept.
    pub(super) fn old(&self, limit: Timestamp, after: Option<ChangeKey>) -> Result<Old, Fault> {
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
                return Ok(Old { keys, next: Some(key) });
            }
        }
        if let Some((key, true)) = last
            && !is_kept(&key)?
        {
            keys.push(key);
        }
        Ok(Old { keys, next: None })
    }

    /// How many changes of a session there are.
    pub(super) fn count(&self, id: SessionId) -> Result<u64, Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?;
        let changes = transaction.open_table(CHANGES).map_err(fault)?;
        let range = changes.range::<&[u8; 32]>(&key(id, FIRST)..=&key(id, LAST)).map_err(fault)?;
        Ok(range.count() as u64)
    }

    /// The jobs of a session's changes after `after`, as many as fit, and whether there are more.
    pub(super) fn jobs(
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

/// A row of a table, as it is copied.
pub(super) struct Row<'a> {
    /// Which table, by its number.
    pub(super) table: u8,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// The numbers of the tables.
const CHANGES_NUMBER: u8 = 1;
const SESSIONS_NUMBER: u8 = 2;

impl Tables {
    /// Shows all rows as they are now, however long that takes and whatever is written meanwhile.
    pub(super) fn rows(&self, mut each: impl FnMut(Row<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let transaction = {
            let database = self.database.read();
            database.as_ref().ok_or("it is closed")?.begin_read().map_err(fault)?
        };
        for row in transaction.open_table(CHANGES).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            each(Row { table: CHANGES_NUMBER, key: key.value(), value: value.value() })?;
        }
        for row in transaction.open_table(SESSIONS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            each(Row { table: SESSIONS_NUMBER, key: key.value(), value: value.value() })?;
        }
        Ok(())
    }
}

/// A database that is made of another one's rows.
pub(super) struct Copied {
    database: Database,
    rows: Vec<(u8, Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl Copied {
    /// A new one.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        Ok(Self { database: open(path).map_err(fault)?, rows: Vec::new(), bytes: 0 })
    }

    /// Adds a row.
    pub(super) fn add(&mut self, Row { table, key, value }: Row<'_>) -> Result<(), Fault> {
        self.bytes += key.len() + value.len();
        self.rows.push((table, key.to_vec(), value.to_vec()));
        if self.bytes < COPIED_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes what is left, and lets it go.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        self.write()?;
        self.database.close().map_err(fault)
    }

    fn write(&mut self) -> Result<(), Fault> {
        let transaction = self.database.begin_write().map_err(fault)?;
        {
            let mut changes = transaction.open_table(CHANGES).map_err(fault)?;
            let mut sessions = transaction.open_table(SESSIONS).map_err(fault)?;
            for (table, key, value) in self.rows.drain(..) {
                match table {
                    CHANGES_NUMBER => {
                        let key: &ChangeKey = key.as_slice().try_into().map_err(|_| "a key has another length")?;
                        changes.insert(key, value.as_slice()).map_err(fault)?;
                    }
                    SESSIONS_NUMBER => {
                        let key: &[u8; 16] = key.as_slice().try_into().map_err(|_| "a key has another length")?;
                        sessions.insert(key, value.as_slice()).map_err(fault)?;
                    }
                    _ => return Err(format!("there is no table {table}")),
                }
            }
        }
        self.bytes = 0;
        transaction.commit().map_err(fault)
    }
}

const FIRST: StateTag = StateTag { epoch: 0, version: 0 };
const LAST: StateTag = StateTag { epoch: u64::MAX, version: u64::MAX };

fn fault(error: impl Into<redb::Error>) -> Fault {
    let error = error.into();
    // The library's word for whatever it does not know would send people looking for a broken disk.
    if let redb::Error::Corrupted(why) = &error
        && why.contains("file format version <=")
    {
        return format!("a newer version wrote it, whose format is not known here: {why}");
    }
    error.to_string()
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    let told = Cell::new(false);
    let file = path.to_owned();
    builder.set_repair_callback(move |_| {
        if !told.replace(true) {
            warn!(file = %file.display(), "the last process did not stop in order: its file is being checked");
        }
    });
    let database = builder.create(path)?;
    let transaction = database.begin_write()?;
    transaction.open_table(CHANGES)?;
    transaction.open_table(SESSIONS)?;
    transaction.commit()?;
    Ok(database)
}

/// The last line of each session.
fn newest<'l, 'a>(lines: &'l [Line<'a>]) -> impl Iterator<Item = (SessionId, &'l Line<'a>)> {
    let mut seen = std::collections::HashSet::with_capacity(lines.len());
    let kept = lines.iter().rev().filter_map(|line| line.kept().map(|id| (id, line)));
    kept.filter(move |(id, _)| seen.insert(*id))
}

fn key(id: SessionId, tag: StateTag) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&id.0.bits().to_be_bytes());
    key[16..24].copy_from_slice(&tag.epoch.to_be_bytes());
    key[24..].copy_from_slice(&tag.version.to_be_bytes());
    key
}

fn tag(key: &[u8; 32]) -> StateTag {
    let number = |start: usize| key[start..start + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    StateTag { epoch: number(16), version: number(24) }
}

fn value(change: &Change) -> Vec<u8> {
    let mut mark = RecordHeader { changed_us: change.entry.at.as_ms() * 1_000, ..RecordHeader::default() };
    mark.events.push(change.event);
    let mut out = change.expires.as_ms().to_be_bytes().to_vec();
    match change.made {
        Made::State => {
            mark.deadline = change.record.deadline();
            wire::encode_header(&mut out, &mark);
            out.extend_from_slice(&change.record.encoded().members());
        }
        Made::Tombstone => wire::encode_tombstone(&mut out, &mark, change.tag),
    }
    out
}

fn remembered(id: SessionId, value: &[u8]) -> Option<Remembered> {
    let (expires, kept) = value.split_first_chunk::<EXPIRES_LEN>()?;
    let expires = Timestamp::from_ms(u64::from_be_bytes(*expires));
    let kept = &wire::modern(Bytes::copy_from_slice(kept));
    let (_, glanced) = wire::peek(kept).ok()?;
    let kept = match glanced {
        wire::RecordBody::State(..) => Kept::Session(Arc::new(Record::read(wire::decode(kept).ok()?))),
        wire::RecordBody::Tombstone(tag) => Kept::Tombstone(tag),
    };
    Some(Remembered { id, kept, expires })
}
