//! The archive of sessions: threads with a connection each answer queries from short queues. Lookups of a session's newest
//! state have a thread and a connection of their own, so that neither writers nor pages of history hold them up. A caller
//! waits for a bounded time; a query that is not answered by then is unavailable. Does not know why it is asked.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::sync::oneshot;
use tokio_postgres::{Client, Error, Row};

use crate::engine::{SessionId, StateTag, Timestamp, Uuid};
use crate::store::{Archive, ArchivedChange, ArchivedChanges, ArchivedState, PageLimit, StoreError, StoreFuture};

use crate::supervision::{Supervisor, Task, TaskExit, panic_point};
use crate::wire::{Cursor, EventIds};

use super::connection::{PostgresConnection, PostgresError};
use super::erase::erase;
use super::server::PostgresServer;

/// Threads that read pages of history.
const PAGE_THREADS: usize = 2;

/// Queries in a queue at most.
const QUEUE: usize = 64;

/// How long the database may think about one.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may take to answer one.
const REPLY_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a caller waits, for a new connection too.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// How long an idle connection stays open, and how soon a lost one that must be open is opened again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows that are fetched at once, at most.
const FETCH_MAX: usize = 64;

/// The archive in PostgreSQL. Its threads end when it is dropped.
pub struct PostgresArchive {
    lookups: Sender<ArchiveQuery>,
    pub(super) pages: Sender<ArchiveQuery>,
}

/// A query, which sends its result to the caller.
pub(super) type ArchiveQuery = Box<dyn FnOnce(&mut ArchiveWorker) + Send>;

/// One thread and its connection.
pub(super) struct ArchiveWorker {
    server: Arc<PostgresServer>,
    connection: Option<PostgresConnection>,
    /// Whether the connection is opened before it is needed, and stays open.
    is_ready: bool,
}

impl PostgresArchive {
    /// Reads from `server`; `Err` when no thread can be started.
    pub fn start(server: PostgresServer, supervisor: &Supervisor) -> std::io::Result<Self> {
        let server = Arc::new(server);
        let start = |name: String, is_ready: bool, asked: Receiver<ArchiveQuery>| {
            let server = Arc::clone(&server);
            // A query that panics is not answered, and its connection is dropped.
            supervisor.keep_thread(Task::auxiliary("archive"), name, move || {
                ArchiveWorker { server: Arc::clone(&server), connection: None, is_ready }.serve(&asked);
                TaskExit::Done
            })
        };
        let (lookups, asked) = bounded(QUEUE);
        start("archive".to_owned(), true, asked)?;
        let (pages, asked) = bounded(QUEUE);
        for number in 0..PAGE_THREADS {
            start(format!("archive-{number}"), false, asked.clone())?;
        }
        Ok(Self { lookups, pages })
    }

    /// Sends a query over one of the queues.
    pub(super) fn ask<T: Send + 'static>(
        queue: &Sender<ArchiveQuery>,
        ask: impl AsyncFn(&mut Client) -> Result<T, Error> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let (reply, answer) = oneshot::channel();
        let question: ArchiveQuery = Box::new(move |desk| {
            // The caller has gone away.
            if reply.is_closed() {
                return;
            }
            panic_point("archive", "");
            let answer = desk.ask(&ask).map_err(|failure| {
                tracing::warn!(error = %failure, "the audit database does not answer");
                desk.connection = None;
                StoreError::Unavailable("The audit database does not answer")
            });
            // Nor now.
            let _ = reply.send(answer);
        });
        let is_asked = queue.try_send(question).is_ok();
        Box::pin(async move {
            if !is_asked {
                return Err(StoreError::Unavailable("Too many questions wait for the audit database"));
            }
            match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("The audit database does not answer in time")),
            }
        })
    }
}

impl Archive for PostgresArchive {
    fn newest(&self, id: SessionId) -> StoreFuture<'_, Option<ArchivedState>> {
        Self::ask(&self.lookups, async move |client| {
            let row = client.query_opt(include_str!("../../sql/newest.sql"), &[&id.to_string()]).await?;
            row.as_ref().map(archived).transpose()
        })
    }

    fn changes(&self, id: SessionId, after: Option<Cursor>, room: PageLimit) -> StoreFuture<'_, ArchivedChanges> {
        Self::ask(&self.pages, async move |client| changes(client, id, after, room).await)
    }

    fn erase(&self, id: SessionId) -> StoreFuture<'_, u64> {
        Self::ask(&self.pages, async move |client| erase(client, id).await)
    }
}

impl ArchiveWorker {
    /// Runs until no caller is left.
    fn serve(mut self, questions: &Receiver<ArchiveQuery>) {
        loop {
            if self.is_ready && self.connection.is_none() {
                // The caller is answered why there is none.
                self.connection = self.server.connect(STATEMENT_TIMEOUT).ok();
            }
            match questions.recv_timeout(IDLE_TIMEOUT) {
                Ok(question) => question(&mut self),
                Err(RecvTimeoutError::Timeout) if self.is_ready => {}
                Err(RecvTimeoutError::Timeout) => self.connection = None,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Repeats a query on a new connection when the old one is lost.
    fn ask<T>(&mut self, question: impl AsyncFn(&mut Client) -> Result<T, Error>) -> Result<T, PostgresError> {
        if let Some(mut connection) = self.connection.take() {
            match connection.ask(REPLY_TIMEOUT, &question) {
                Err(PostgresError::Postgres(_)) if connection.is_closed() => {}
                answer => {
                    self.connection = Some(connection);
                    return answer;
                }
            }
        }
        let connection = self.connection.insert(self.server.connect(STATEMENT_TIMEOUT)?);
        connection.ask(REPLY_TIMEOUT, &question)
    }
}

/// Reads as many changes as fit, and of the rest hardly more than shows that there are some.
async fn changes(
    client: &mut Client,
    id: SessionId,
    after: Option<Cursor>,
    mut room: PageLimit,
) -> Result<ArchivedChanges, Error> {
    // What follows all changes of a state begins with its next version.
    let (epoch, version, told) = match after {
        None => (0, 0, 0),
        Some(Cursor { tag, told: None }) => (stored(tag.epoch), stored(tag.version).saturating_add(1), 0),
        Some(Cursor { tag, told: Some(told) }) => (stored(tag.epoch), stored(tag.version), stored(told)),
    };
    let transaction = client.transaction().await?;
    let portal =
        transaction.bind(include_str!("../../sql/changes.sql"), &[&id.to_string(), &epoch, &version, &told]).await?;
    let (mut found, mut fetch) = (ArchivedChanges::default(), 1);
    loop {
        let rows = transaction.query_portal(&portal, i32::try_from(fetch).unwrap_or(i32::MAX)).await?;
        for row in &rows {
            let change = change(row)?;
            let Some(left) = room.after(change.job.len()) else {
                let told = of_tag(&found.changes, change.tag, after);
                return Ok(ArchivedChanges { has_more: true, told, ..found });
            };
            room = left;
            found.changes.push(change);
        }
        if rows.len() < fetch {
            return Ok(found);
        }
        // As many as will fit if they are like those before.
        let bytes: usize = found.changes.iter().map(|change| change.job.len()).sum();
        let alike = room.bytes / (bytes / found.changes.len().max(1)).max(1);
        fetch = (alike.min(room.changes) + 1).min(FETCH_MAX);
    }
}

/// How many changes of the last state are in the page and those before.
fn of_tag(changes: &[ArchivedChange], tag: StateTag, after: Option<Cursor>) -> Option<u64> {
    let here = changes.iter().rev().take_while(|change| change.tag == tag).count();
    let before = after.filter(|after| after.tag == tag && here == changes.len()).and_then(|after| after.told);
    (here > 0).then(|| before.unwrap_or_default() + here as u64)
}

fn archived(row: &Row) -> Result<ArchivedState, Error> {
    let at = Timestamp::from_ms(read(row.try_get("at_ms")?));
    let state: String = row.try_get("state")?;
    let latest: Vec<String> = row.try_get("events")?;
    let mut events = EventIds::default();
    latest.iter().rev().filter_map(|event| Uuid::parse(event)).for_each(|event| events.push(event));
    Ok(ArchivedState { tag: tag(row)?, at, is_deleted: row.try_get("is_deleted")?, events, state: state.into() })
}

fn change(row: &Row) -> Result<ArchivedChange, Error> {
    let job: String = row.try_get("job")?;
    Ok(ArchivedChange { tag: tag(row)?, is_deletion: row.try_get("is_deletion")?, job: job.into() })
}

fn tag(row: &Row) -> Result<StateTag, Error> {
    Ok(StateTag { epoch: read(row.try_get("epoch")?), version: read(row.try_get("version")?) })
}

/// A number for PostgreSQL, whose numbers are signed.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from PostgreSQL. What is written there was never negative.
fn read(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
