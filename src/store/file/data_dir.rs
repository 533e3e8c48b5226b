//! A data directory: opens, locks, copies, trims and closes it. One process at a time may have it. Does not know how
//! sessions are kept in memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::Timestamp;
use crate::supervision::Supervisor;

use crate::store::contract::{Archive, RevocationStore};
use crate::store::metrics::Metrics;

use super::archive::RedbArchive;
use super::files::{DATABASE, LOCK, at_path};
use super::journal::Journal;
use super::journaled::Journaled;
use super::revocations::RedbRevocations;
use super::tables::{OldChanges, RestoredSession, Tables};
use super::timeline::Timeline;
use super::{backup, journal_writer};

/// A directory in which changes are durable. Cloning shares it.
#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
    tables: Arc<Tables>,
    journal: Arc<Journal>,
    timeline: Arc<Timeline>,
    supervisor: Supervisor,
}

impl DataDir {
    /// Opens a directory, which is made when there is none. A change waits for its write no longer than `patience`.
    ///
    /// # Errors
    ///
    /// When another process has it, or what is there cannot be read or written.
    pub fn open(path: &Path, clock: Clock, patience: Duration, metrics: Metrics) -> io::Result<Self> {
        fs::create_dir_all(path).map_err(|error| at_path(path, &error))?;
        let tables = Arc::new(Self::lock(path)?);
        let timeline = Arc::new(Timeline::open(path).map_err(|error| at_path(path, &error))?);
        let supervisor = metrics.supervisor.clone();
        let journal = journal_writer::start(Arc::clone(&tables), clock, patience, metrics)?;
        Ok(Self { path: path.to_owned(), tables, journal, timeline, supervisor })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The history of every session.
    pub fn archive(&self) -> Arc<dyn Archive> {
        let (tables, journal) = (Arc::clone(&self.tables), Arc::clone(&self.journal));
        Arc::new(RedbArchive::new(tables, journal, self.supervisor.clone()))
    }

    /// What was revoked.
    pub fn revocations(&self) -> Arc<dyn RevocationStore> {
        let (tables, journal) = (Arc::clone(&self.tables), Arc::clone(&self.journal));
        Arc::new(RedbRevocations::new(tables, journal, self.supervisor.clone()))
    }

    /// Removes history from before `limit`: all of sessions that are not stored any more, and of others what lies before their
    /// newest state. Returns the number of changes, whose space in the file is used again.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or written in time.
    pub async fn forget_before(&self, limit: Timestamp) -> io::Result<u64> {
        let (mut count, mut after) = (0, None);
        loop {
            let tables = Arc::clone(&self.tables);
            let found = self.supervisor.block("retention", move || tables.old(limit, after)).await;
            let found = found.map_err(|panicked| at_path(&self.path, &panicked))?;
            let OldChanges { keys, next } = found.map_err(|why| at_path(&self.path, &why))?;
            if !keys.is_empty() {
                count += keys.len() as u64;
                let written = self.journal.remove(keys).map_err(|_| at_path(&self.path, &"it cannot be written"))?;
                if !self.journal.wait(written, false).await {
                    return Err(at_path(&self.path, &"it is not written in time"));
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(count),
            }
        }
    }

    /// Sends copies of it to clients of a socket in the directory; ends only when it cannot.
    ///
    /// # Errors
    ///
    /// When there can be no socket.
    pub async fn serve_backups(&self) -> io::Result<()> {
        backup::serve(&self.path, &self.tables, &self.supervisor).await
    }

    /// Copies a directory into another one, which is created; returns the number of rows. A server that uses the first one
    /// goes on. Blocks.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read or written, or there is a database already.
    pub fn back_up(path: &Path, to: &Path) -> io::Result<u64> {
        if let Some(count) = backup::receive(path, to)? {
            return Ok(count);
        }
        if !path.join(DATABASE).exists() {
            return Err(at_path(path, &"there is no database in it"));
        }
        let tables = Self::lock(path)?;
        let count = backup::copy(&tables, to);
        tables.close().map_err(|why| at_path(path, &why))?;
        count
    }

    /// The database in a directory that no other process has.
    fn lock(path: &Path) -> io::Result<Tables> {
        let lock_path = path.join(LOCK);
        let lock = fs::File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| at_path(&lock_path, &error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => at_path(path, &"another process is using this directory"),
            fs::TryLockError::Error(error) => at_path(&lock_path, &error),
        })?;
        let database = path.join(DATABASE);
        Tables::open(&database, lock).map_err(|why| at_path(&database, &why))
    }

    /// Writes the queue and unlocks the directory; no change is accepted from now on. Returns whether all of the queue is
    /// written.
    pub async fn close(&self) -> bool {
        self.journal.close().await
    }

    /// All sessions as they were when it was opened.
    pub(in crate::store) fn restored(&self) -> io::Result<Vec<RestoredSession>> {
        self.tables.restored().map_err(|why| at_path(&self.path, &why))
    }

    /// Makes changes durable in it.
    pub(in crate::store) fn durability(&self) -> Journaled {
        Journaled::new(Arc::clone(&self.journal), Arc::clone(&self.timeline), self.supervisor.clone())
    }
}

impl std::fmt::Debug for DataDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataDir({})", self.path.display())
    }
}
