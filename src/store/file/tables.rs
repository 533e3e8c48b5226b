//! The database: its tables and how they are written and read. Blocking. Does not know who waits for a write.
//!
//! | table | key | value |
//! |---|---|---|
//! | `changes` | session id, epoch, version, big-endian | the audit job |
//! | `sessions` | session id, big-endian | when it expires (ms, big-endian), then the newest state or tombstone as `wire::keep` and `wire::bury` write it |
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
use crate::store::Room;
use crate::wire::{self, Mark};

use super::change::{Change, Made};
use super::{Kept, Record, Remembered};

const CHANGES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("changes");
const SESSIONS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("sessions");

/// Pages that are kept in memory. What is written is read by a start and by whoever looks at history.
const CACHE_BYTES: usize = 64 << 20;
const EXPIRES_LEN: usize = 8;

/// An open database, or one that has to be opened again, and the lock on its directory.
pub(super) struct Tables {
    path: PathBuf,
    database: RwLock<Option<Database>>,
    _lock: File,
}

/// What is to be written of a session.
pub(super) enum Line<'a> {
    /// A change.
    Change(SessionId, &'a Change),
    /// The session is not kept any longer; its history is.
    Forget(SessionId),
    /// All that was written of the session so far is gone, whether it is kept or not.
    Erase(SessionId),
}

impl Line<'_> {
    /// Whose newest state it changes.
    fn kept(&self) -> Option<SessionId> {
        match self {
            Line::Change(id, _) | Line::Forget(id) => Some(*id),
            Line::Erase(_) => None,
        }
    }
}

/// Why the database could not do something: for the log, and for whoever asks whether the server is ready.
pub(super) type Fault = String;

impl Tables {
    pub(super) fn open(path: &Path, lock: File) -> Result<Self, Fault> {
        let database = open(path).map_err(fault)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)), _lock: lock })
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
                        wire::job(&mut job, change.event, *id, change.tag, &change.entry, &members);
                        changes.insert(&key(*id, change.tag), job.as_slice()).map_err(fault)?;
                    }
                    Line::Erase(id) => {
                        changes
                            .retain_in::<&[u8; 32], _>(&key(*id, FIRST)..=&key(*id, LAST), |_, _| false)
                            .map_err(fault)?;
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
                    Line::Erase(_) => {}
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

    /// Lets the database go.
    pub(super) fn close(&self) -> Result<(), Fault> {
        self.database.write().take().map_or(Ok(()), |database| database.close().map_err(fault))
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
        mut room: Room,
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

const FIRST: StateTag = StateTag { epoch: 0, version: 0 };
const LAST: StateTag = StateTag { epoch: u64::MAX, version: u64::MAX };

fn fault(error: impl Into<redb::Error>) -> Fault {
    error.into().to_string()
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
    let mut mark = Mark { changed_us: change.entry.at.as_ms() * 1_000, ..Mark::default() };
    mark.events.push(change.event);
    let mut out = change.expires.as_ms().to_be_bytes().to_vec();
    match change.made {
        Made::State => {
            mark.deadline = change.record.deadline();
            wire::mark(&mut out, &mark);
            out.extend_from_slice(&change.record.encoded().members());
        }
        Made::Tombstone => wire::bury(&mut out, &mark, change.tag),
    }
    out
}

fn remembered(id: SessionId, value: &[u8]) -> Option<Remembered> {
    let (expires, kept) = value.split_first_chunk::<EXPIRES_LEN>()?;
    let expires = Timestamp::from_ms(u64::from_be_bytes(*expires));
    let kept = &wire::modern(Bytes::copy_from_slice(kept));
    let (_, glanced) = wire::glance(kept).ok()?;
    let kept = match glanced {
        wire::Kept::State(..) => Kept::Session(Arc::new(Record::read(wire::decode(kept).ok()?))),
        wire::Kept::Tombstone(tag) => Kept::Tombstone(tag),
    };
    Some(Remembered { id, kept, expires })
}
