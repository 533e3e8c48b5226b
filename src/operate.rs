//! What the program does beside serving: the audit queue as people who run it see it, and the schema of its
//! database. Prints, and says in an error what went wrong. Does not know arguments.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::{Operator, Queue, Stats};
use crate::clock::Clock;
use crate::config;
use crate::engine::{SessionId, Uuid};
use crate::redis::{Keyspace, Server};
use crate::store::Metrics;
use crate::store::file::DataDir;
use crate::supervision::Supervisor;
use crate::wire;
use crate::writer;

/// How long Redis may take to answer somebody who waits at a terminal.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Something to do with the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Shows what is queued.
    Stats,
    /// Shows jobs that were given up, so many at most.
    Dead(usize),
    /// Queues jobs again that were given up: those of these events, or all.
    Redrive(Vec<String>),
    /// Takes the job of an event away for good.
    Drop(String),
}

/// Brings the schema of a database up to date; `Err` says why it cannot be done.
pub async fn migrate(access: &writer::Access, out: &mut (dyn Write + Send)) -> Result<(), String> {
    let database = writer::Server::open(access)?;
    // The client blocks, and has a runtime of its own.
    let migrated = Supervisor::default().block("migrate", move || writer::migrate_server(&database)).await;
    let migrated = migrated.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let told = match migrated.applied.len() {
        0 => writeln!(out, "the schema is up to date"),
        _ => writeln!(out, "applied: {}", migrated.applied.join(", ")),
    };
    told.map_err(|error| error.to_string())
}

/// Copies a data directory, which a server may have, into another one; `Err` says why it cannot be done.
pub async fn back_up(path: PathBuf, to: PathBuf, out: &mut (dyn Write + Send)) -> Result<(), String> {
    let said = to.display().to_string();
    // It blocks.
    let copied = Supervisor::default().block("backup", move || DataDir::back_up(&path, &to)).await;
    let count = copied.map_err(|panicked| panicked.to_string())?.map_err(|error| error.to_string())?;
    writeln!(out, "{said} holds all {count} rows").map_err(|error| error.to_string())
}

/// Where a history is kept.
#[derive(Debug)]
pub enum Record {
    /// In a database.
    Database(writer::Access),
    /// In this data directory, which no server has.
    Directory(PathBuf),
}

/// Forgets all that was written of a session; `Err` says why it cannot be done.
pub async fn purge(record: Record, id: &str, out: &mut (dyn Write + Send)) -> Result<(), String> {
    let id = Uuid::parse(id).map(SessionId).ok_or_else(|| format!("{id} is no session's id"))?;
    let count = match record {
        Record::Database(access) => {
            let database = writer::Server::open(&access)?;
            // As above.
            let erased = Supervisor::default().block("purge", move || writer::erase_at(&database, id)).await;
            erased.map_err(|panicked| panicked.to_string())?.map_err(|failure| failure.to_string())?
        }
        Record::Directory(path) => {
            let data = DataDir::open(&path, Clock::system(), REPLY_TIMEOUT, Metrics::default());
            let data =
                data.map_err(|error| format!("{error}; a server that has it is asked by DELETE with ?history=1"))?;
            let erased = data.archive().erase(id).await.map_err(|error| format!("{error:?}"));
            data.close().await;
            erased?
        }
    };
    writeln!(out, "{count} changes of session {id} are forgotten").map_err(|error| error.to_string())
}

/// Does it; `Err` says why it cannot be done.
pub async fn run(redis: &config::Redis, task: Task, out: &mut (dyn Write + Send)) -> Result<(), String> {
    let told = |result: io::Result<()>| result.map_err(|error| error.to_string());
    match task {
        Task::Stats => {
            let Stats { waiting, held, delayed, dead, bytes, oldest } =
                queue(redis)?.stats().await.map_err(|error| error.to_string())?;
            let oldest = oldest.map_or("none".to_owned(), wire::instant_text);
            told(writeln!(
                out,
                "waiting {waiting}\nheld {held}\ndelayed {delayed}\ndead {dead}\nbytes {bytes}\noldest {oldest}"
            ))
        }
        Task::Dead(most) => {
            let dead = queue(redis)?.dead(most).await.map_err(|error| error.to_string())?;
            for job in dead {
                let name = wire::read_job_header(&job.job).map_or("no id".to_owned(), |name| name.event.to_string());
                told(writeln!(out, "{name} after {} attempts: {}", job.attempts, job.error))?;
                told(writeln!(out, "    {}", String::from_utf8_lossy(&job.job)))?;
            }
            Ok(())
        }
        Task::Redrive(events) => {
            let count = queue(redis)?.redrive(&events).await.map_err(|error| error.to_string())?;
            told(writeln!(out, "{count} jobs wait again"))?;
            if count == 0 && !events.is_empty() {
                return Err("no dead job has such an event id".to_owned());
            }
            Ok(())
        }
        Task::Drop(event) => match queue(redis)?.drop_dead(&event).await.map_err(|error| error.to_string())? {
            true => told(writeln!(out, "{event} is gone")),
            false => Err("no dead job has that event id".to_owned()),
        },
    }
}

fn queue(redis: &config::Redis) -> Result<Operator, String> {
    let server = Server::open(&redis.access, REPLY_TIMEOUT)?;
    Ok(Operator::new(Queue::all(&server, &Keyspace::new(&redis.prefix, redis.partitions))))
}
