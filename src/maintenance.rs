//! Maintenance commands, each of which runs once and prints what it did: migrate the database, back up a data directory,
//! purge a session's history. Does not know the command line.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::{SessionId, Uuid};
use crate::postgres;
use crate::store::Metrics;
use crate::store::file::DataDir;
use crate::supervision::Supervisor;

/// How long a data directory may take to be opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Brings the schema of a database up to date; `Err` says why it cannot be done.
pub async fn migrate(access: &postgres::PostgresAccess, out: &mut (dyn Write + Send)) -> Result<(), String> {
    let database = postgres::PostgresServer::open(access)?;
    // The client blocks, and has a runtime of its own.
    let migrated = Supervisor::default().block("migrate", move || postgres::migrate_server(&database)).await;
    let migrated = migrated.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let printed = match migrated.applied.len() {
        0 => writeln!(out, "the schema is up to date"),
        _ => writeln!(out, "applied: {}", migrated.applied.join(", ")),
    };
    printed.map_err(|error| error.to_string())
}

/// Copies a data directory, which a server may have, into another one; `Err` says why it cannot be done.
pub async fn back_up(path: PathBuf, to: PathBuf, out: &mut (dyn Write + Send)) -> Result<(), String> {
    let said = to.display().to_string();
    // It blocks.
    let copied = Supervisor::default().block("backup", move || DataDir::back_up(&path, &to)).await;
    let count = copied.map_err(|panicked| panicked.to_string())?.map_err(|error| error.to_string())?;
    writeln!(out, "{said} holds all {count} rows").map_err(|error| error.to_string())
}

/// Where the history is stored.
#[derive(Debug)]
pub enum HistoryLocation {
    /// In a database.
    Database(postgres::PostgresAccess),
    /// In this data directory, which no server has.
    Directory(PathBuf),
}

/// Erases all that was recorded of a session; `Err` says why it cannot be done.
pub async fn purge(history: HistoryLocation, id: &str, out: &mut (dyn Write + Send)) -> Result<(), String> {
    let id = Uuid::parse(id).map(SessionId).ok_or_else(|| format!("{id} is no session's id"))?;
    let count = match history {
        HistoryLocation::Database(access) => {
            let database = postgres::PostgresServer::open(&access)?;
            // The client blocks, and has a runtime of its own.
            let erased = Supervisor::default().block("purge", move || postgres::erase_at(&database, id)).await;
            erased.map_err(|panicked| panicked.to_string())?.map_err(|failure| failure.to_string())?
        }
        HistoryLocation::Directory(path) => {
            let data = DataDir::open(&path, Clock::system(), OPEN_TIMEOUT, Metrics::default());
            let data =
                data.map_err(|error| format!("{error}; a server that has it is asked by DELETE with ?history=1"))?;
            let erased = data.archive().erase(id).await.map_err(|error| format!("{error:?}"));
            data.close().await;
            erased?
        }
    };
    writeln!(out, "{count} changes of session {id} are forgotten").map_err(|error| error.to_string())
}
