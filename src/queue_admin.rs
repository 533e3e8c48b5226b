//! The audit queue's commands: `synckairos queue` prints its statistics and its dead jobs, redrives them and deletes them.
//! Does not know the command line.

use std::io::{self, Write};
use std::time::Duration;

use crate::audit::{AuditQueue, QueueAdmin, QueueStats};
use crate::config;
use crate::redis::{Keyspace, RedisServer};
use crate::wire;

/// How long Redis may take to answer somebody who waits at a terminal.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A command on the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueCommand {
    /// Prints how many jobs wait, are leased, delayed and dead.
    Stats,
    /// Lists dead jobs, the oldest first, so many at most.
    Dead(usize),
    /// Queues dead jobs again: those of these events, or all.
    Redrive(Vec<String>),
    /// Deletes the dead job of an event for good.
    Drop(String),
}

/// Runs a command and prints what it comes to; `Err` says why it cannot be done.
pub async fn run(
    redis: &config::RedisSettings,
    command: QueueCommand,
    out: &mut (dyn Write + Send),
) -> Result<(), String> {
    let printed = |result: io::Result<()>| result.map_err(|error| error.to_string());
    match command {
        QueueCommand::Stats => {
            let QueueStats { waiting, leased, delayed, dead, bytes, oldest } =
                open_queue(redis)?.stats().await.map_err(|error| error.to_string())?;
            let oldest = oldest.map_or("none".to_owned(), wire::instant_text);
            printed(writeln!(
                out,
                "waiting {waiting}\nheld {leased}\ndelayed {delayed}\ndead {dead}\nbytes {bytes}\noldest {oldest}"
            ))
        }
        QueueCommand::Dead(most) => {
            let dead = open_queue(redis)?.dead(most).await.map_err(|error| error.to_string())?;
            for job in dead {
                let name = wire::read_job_header(&job.job).map_or("no id".to_owned(), |name| name.event.to_string());
                printed(writeln!(out, "{name} after {} attempts: {}", job.attempts, job.error))?;
                printed(writeln!(out, "    {}", String::from_utf8_lossy(&job.job)))?;
            }
            Ok(())
        }
        QueueCommand::Redrive(events) => {
            let count = open_queue(redis)?.redrive(&events).await.map_err(|error| error.to_string())?;
            printed(writeln!(out, "{count} jobs wait again"))?;
            if count == 0 && !events.is_empty() {
                return Err("no dead job has such an event id".to_owned());
            }
            Ok(())
        }
        QueueCommand::Drop(event) => {
            match open_queue(redis)?.drop_dead(&event).await.map_err(|error| error.to_string())? {
                true => printed(writeln!(out, "{event} is gone")),
                false => Err("no dead job has that event id".to_owned()),
            }
        }
    }
}

fn open_queue(redis: &config::RedisSettings) -> Result<QueueAdmin, String> {
    let server = RedisServer::open(&redis.access, REPLY_TIMEOUT)?;
    Ok(QueueAdmin::new(AuditQueue::all(&server, &Keyspace::new(&redis.prefix, redis.partitions))))
}
