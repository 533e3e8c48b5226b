//! Reads the record back: a few threads with a connection each, asked over a short queue. Whoever asks waits for a
//! bounded time; what could not be asked or answered is unavailable. Does not know why it is asked.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use postgres::types::ToSql;
use postgres::{Client, Error, Row};
use tokio::sync::oneshot;

use crate::engine::{SessionId, StateTag, Timestamp};
use crate::store::{Answer, Archive, Archived, Change, StoreError};

use super::server::{Server, described};

/// How many questions are asked at once.
const THREADS: usize = 2;

/// How many more may wait.
const QUEUE: usize = 64;

/// How long the database may think about one.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long whoever asks waits, for a connection to be made too.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// The record in PostgreSQL. Its threads end when it is dropped.
pub struct PostgresArchive {
    questions: Sender<Question>,
}

/// A statement to run, and whom to tell. Reads each row on the thread that has it.
type Question = Box<dyn FnOnce(&mut Link) + Send>;

/// What a thread asks on. Connects when there is something to ask.
struct Link {
    server: Arc<Server>,
    client: Option<Client>,
}

impl PostgresArchive {
    /// Reads from `server`. Connects when it is first asked; `Err` when there are no threads to be had.
    pub fn start(server: Server) -> std::io::Result<Self> {
        let (questions, asked) = bounded(QUEUE);
        let server = Arc::new(server);
        for number in 0..THREADS {
            let link = Link { server: server.clone(), client: None };
            let asked = asked.clone();
            thread::Builder::new().name(format!("archive-{number}")).spawn(move || serve(link, &asked))?;
        }
        Ok(Self { questions })
    }

    /// Runs a statement and reads its rows.
    fn ask<T: Send + 'static>(
        &self,
        sql: &'static str,
        parameters: Vec<Box<dyn ToSql + Sync + Send>>,
        read: fn(&Row) -> Result<T, Error>,
    ) -> Answer<'_, Vec<T>> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |link| {
            // Nobody waits any more.
            if reply.is_closed() {
                return;
            }
            let answer = link.query(sql, &parameters).and_then(|rows| rows.iter().map(read).collect());
            let _ = reply.send(answer.map_err(|error| {
                tracing::warn!(error = described(&error), "the audit database does not answer");
                link.client = None;
                StoreError::Unavailable("The audit database does not answer")
            }));
        });
        let is_asked = self.questions.try_send(question).is_ok();
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
    fn newest(&self, id: SessionId) -> Answer<'_, Option<Archived>> {
        let rows = self.ask(include_str!("../../sql/newest.sql"), vec![Box::new(id.to_string())], archived);
        Box::pin(async move { Ok(rows.await?.pop()) })
    }

    fn changes(&self, id: SessionId, after: Option<StateTag>, limit: usize) -> Answer<'_, Vec<Change>> {
        let (epoch, version) = after.map_or((-1, -1), |tag| (stored(tag.epoch), stored(tag.version)));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.ask(
            include_str!("../../sql/changes.sql"),
            vec![Box::new(id.to_string()), Box::new(epoch), Box::new(version), Box::new(limit)],
            change,
        )
    }
}

/// A thread's life: until nobody can ask any more.
fn serve(mut link: Link, questions: &Receiver<Question>) {
    for question in questions {
        question(&mut link);
    }
}

impl Link {
    /// Asks once more on a new connection when the old one turns out to be lost.
    fn query(&mut self, sql: &str, parameters: &[Box<dyn ToSql + Sync + Send>]) -> Result<Vec<Row>, Error> {
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect();
        if let Some(mut client) = self.client.take() {
            match client.query(sql, &parameters) {
                Err(_) if client.is_closed() => {}
                answer => {
                    self.client = Some(client);
                    return answer;
                }
            }
        }
        let client = self.client.insert(self.server.connect(STATEMENT_TIMEOUT)?);
        client.query(sql, &parameters)
    }
}

fn archived(row: &Row) -> Result<Archived, Error> {
    let at = Timestamp::from_ms(read(row.try_get("at_ms")?));
    let state: String = row.try_get("state")?;
    Ok(Archived { tag: tag(row)?, at, is_deleted: row.try_get("is_deleted")?, state: state.into() })
}

fn change(row: &Row) -> Result<Change, Error> {
    let job: String = row.try_get("job")?;
    Ok(Change { tag: tag(row)?, is_deletion: row.try_get("is_deletion")?, job: job.into() })
}

fn tag(row: &Row) -> Result<StateTag, Error> {
    Ok(StateTag { epoch: read(row.try_get("epoch")?), version: read(row.try_get("version")?) })
}

/// A number as PostgreSQL has it, which has none without a sign.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from PostgreSQL. What is written there was never negative.
fn read(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
