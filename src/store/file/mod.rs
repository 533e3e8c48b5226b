//! What the embedded store keeps over a restart: a directory with one database, in which every change stands before it
//! is acknowledged. One process at a time may have it. Does not know how states are kept in memory.

mod archive;
mod change;
mod journal;
mod tables;
mod timeline;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::{SessionId, StateTag, Timestamp};
use crate::supervision::Supervisor;

use super::{Archive, Metrics, Record};

use archive::Library;
use tables::Tables;

pub(super) use change::Change;
pub(super) use journal::{Journal, Written};
pub(super) use timeline::Timeline;

/// The database's name in the directory.
const DATABASE: &str = "synckairos.redb";
/// Held by the process that has the directory. The database is locked as well, but is let go and opened again after a
/// failed write.
const LOCK: &str = "synckairos.lock";

/// A directory in which changes are written down. Cloning shares it.
#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
    tables: Arc<Tables>,
    journal: Arc<Journal>,
    timeline: Arc<Timeline>,
    supervisor: Supervisor,
}

/// What was kept of a session.
pub(super) struct Remembered {
    pub(super) id: SessionId,
    pub(super) kept: Kept,
    pub(super) expires: Timestamp,
}

/// The newest of a session.
pub(super) enum Kept {
    Session(Arc<Record>),
    Tombstone(StateTag),
}

impl DataDir {
    /// Opens a directory, which is made when there is none. A change waits for its write no longer than `patience`.
    ///
    /// # Errors
    ///
    /// When another process has it, or what is there cannot be read or written.
    pub fn open(path: &Path, clock: Clock, patience: Duration, metrics: Metrics) -> io::Result<Self> {
        fs::create_dir_all(path).map_err(|error| told(path, &error))?;
        let lock_path = path.join(LOCK);
        let lock = fs::File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| told(&lock_path, &error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => told(path, &"another process is using this directory"),
            fs::TryLockError::Error(error) => told(&lock_path, &error),
        })?;
        let database = path.join(DATABASE);
        let tables = Tables::open(&database, lock).map_err(|why| told(&database, &why))?;
        let tables = Arc::new(tables);
        let timeline = Arc::new(Timeline::open(path).map_err(|error| told(path, &error))?);
        let supervisor = metrics.supervisor.clone();
        let journal = Journal::start(Arc::clone(&tables), clock, patience, metrics)?;
        Ok(Self { path: path.to_owned(), tables, journal, timeline, supervisor })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every session's life, read back.
    pub fn archive(&self) -> Arc<dyn Archive> {
        let (tables, journal) = (Arc::clone(&self.tables), Arc::clone(&self.journal));
        Arc::new(Library::new(tables, journal, self.supervisor.clone()))
    }

    /// Writes what waits and lets the directory go; nothing can be changed from now on. Returns whether all that was
    /// waiting is written.
    pub async fn close(&self) -> bool {
        self.journal.close().await
    }

    /// What was kept of all sessions when it was opened.
    pub(super) fn remembered(&self) -> io::Result<Vec<Remembered>> {
        self.tables.remembered().map_err(|why| told(&self.path, &why))
    }

    /// Where the clock is written down.
    pub(super) fn timeline(&self) -> Arc<Timeline> {
        Arc::clone(&self.timeline)
    }

    /// Where changes go.
    pub(super) fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }
}

impl std::fmt::Debug for DataDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataDir({})", self.path.display())
    }
}

fn told(path: &Path, why: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {why}", path.display()))
}
