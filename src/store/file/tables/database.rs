//! The open database and how it is written: whole batches, each in one transaction. Blocking. Does not know who waits for
//! a write.

use std::fs::File;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use redb::Database;

use crate::engine::SessionId;
use crate::hashing::HashSet;
use crate::store::durability::DurableChange;
use crate::wire::{self, Revocation};

use super::revocations;
use super::schema::{CHANGES, ChangeKey, FIRST, Fault, LAST, SESSIONS, fault, key, open, value};

/// An open database, or one that has to be opened again, and the lock on its directory.
pub(in crate::store::file) struct Tables {
    path: PathBuf,
    pub(super) database: RwLock<Option<Database>>,
    lock: File,
}

/// A write.
pub(in crate::store::file) enum WriteOp<'a> {
    /// A change.
    Change(SessionId, &'a DurableChange),
    /// The session is removed; its history stays.
    Forget(SessionId),
    /// All changes of the session that were written so far are removed, whether the session is stored or not.
    Erase(SessionId),
    /// These changes are removed.
    Remove(&'a [ChangeKey]),
    /// These are revoked, and those are not any more.
    Revoke(&'a [Revocation], &'a [Revocation]),
}

impl WriteOp<'_> {
    /// The session whose newest state it changes.
    fn session(&self) -> Option<SessionId> {
        match self {
            WriteOp::Change(id, _) | WriteOp::Forget(id) => Some(*id),
            WriteOp::Erase(_) | WriteOp::Remove(_) | WriteOp::Revoke(..) => None,
        }
    }
}

impl Tables {
    /// Opens the database, which is made when there is none.
    pub(in crate::store::file) fn open(path: &Path, lock: File) -> Result<Self, Fault> {
        let database = open(path).map_err(fault)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)), lock })
    }

    /// Writes all of `ops` in one transaction, which is on the disk when this returns. Writing the same again changes
    /// nothing. After a fault the outcome is in doubt.
    pub(in crate::store::file) fn write(&self, ops: &[WriteOp<'_>]) -> Result<(), Fault> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or("it is closed")?.begin_write().map_err(fault)?;
        {
            let mut changes = transaction.open_table(CHANGES).map_err(fault)?;
            let mut sessions = transaction.open_table(SESSIONS).map_err(fault)?;
            let mut job = Vec::new();
            for op in ops {
                match op {
                    WriteOp::Change(id, change) => {
                        let body = change.record.encoded().body();
                        job.clear();
                        wire::encode_job(
                            &mut job,
                            change.event,
                            *id,
                            change.tag,
                            &change.entry,
                            change.actor.as_deref(),
                            &body,
                        );
                        changes.insert(&key(*id, change.tag), job.as_slice()).map_err(fault)?;
                    }
                    WriteOp::Erase(id) => {
                        changes
                            .retain_in::<&[u8; 32], _>(&key(*id, FIRST)..=&key(*id, LAST), |_, _| false)
                            .map_err(fault)?;
                    }
                    WriteOp::Remove(keys) => {
                        for key in *keys {
                            changes.remove(key).map_err(fault)?;
                        }
                    }
                    WriteOp::Revoke(revoked, over) => revocations::write(&transaction, revoked, over)?,
                    WriteOp::Forget(_) => {}
                }
            }
            for (id, op) in newest(ops) {
                let id = id.0.bits().to_be_bytes();
                match op {
                    WriteOp::Change(_, change) => {
                        sessions.insert(&id, value(change).as_slice()).map_err(fault)?;
                    }
                    WriteOp::Forget(_) => {
                        sessions.remove(&id).map_err(fault)?;
                    }
                    WriteOp::Erase(_) | WriteOp::Remove(_) | WriteOp::Revoke(..) => {}
                }
            }
        }
        transaction.commit().map_err(fault)
    }

    /// Opens the database again: after a fault it accepts no writes.
    pub(in crate::store::file) fn reopen(&self) -> Result<(), Fault> {
        let mut database = self.database.write();
        drop(database.take());
        *database = Some(open(&self.path).map_err(fault)?);
        Ok(())
    }

    /// Closes the database and unlocks its directory, whoever still shares it.
    pub(in crate::store::file) fn close(&self) -> Result<(), Fault> {
        let closed = self.database.write().take().map_or(Ok(()), |database| database.close().map_err(fault));
        closed.and(self.lock.unlock().map_err(fault))
    }
}

/// The last write of each session.
fn newest<'o, 'a>(ops: &'o [WriteOp<'a>]) -> impl Iterator<Item = (SessionId, &'o WriteOp<'a>)> {
    let mut seen = HashSet::with_capacity_and_hasher(ops.len(), Default::default());
    let writes = ops.iter().rev().filter_map(|op| op.session().map(|id| (id, op)));
    writes.filter(move |(id, _)| seen.insert(*id))
}
