//! The sink of audit jobs: writes each batch in one transaction and one round trip, retries conflicts with other writers, and
//! classifies errors by their SQLSTATE. Does not know what a job means to the queue, nor how long to back off.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use crate::audit::{Sink, WriteError};

use super::connection::{PostgresConnection, PostgresError};
use super::row_batch::RowBatch;
use super::server::PostgresServer;
use super::sql_types::{PgBigint, PgJson, PgTimestamp, PgUuid};

/// How long a statement may take, waiting for other writers included.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a transaction may take until the server counts as gone: its three statements, each in time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a statement may take that touches no row.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A query that only a writable server answers without an error.
const PROBE: &str = "begin; lock table sync_events in row exclusive mode; commit";

/// How often a transaction that conflicts with others is retried at once.
const CONFLICT_RETRIES_MAX: usize = 5;

/// A sink with a connection, which is opened when it is first needed, and again after it was lost.
pub struct PostgresSink {
    server: PostgresServer,
    writer: Option<WriterConnection>,
}

struct WriterConnection {
    connection: PostgresConnection,
    statements: Statements,
}

/// The statements in their order. Inserting changes takes longest and conflicts with no writer; sessions and participants,
/// which other writers update too, are locked only after that. All writers lock rows in the same order, so that they do not
/// deadlock.
#[derive(Clone)]
struct Statements {
    changes: Statement,
    sessions: Statement,
    participants: Statement,
}

impl PostgresSink {
    /// Writes into `server`. Does not connect yet.
    pub fn new(server: PostgresServer) -> Self {
        Self { server, writer: None }
    }

    fn connected(&mut self) -> Result<&mut WriterConnection, PostgresError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let mut connection = self.server.connect(STATEMENT_TIMEOUT)?;
                let statements = connection.ask(PROBE_TIMEOUT, prepare)?;
                WriterConnection { connection, statements }
            }
        };
        Ok(self.writer.insert(writer))
    }

    fn try_write(&mut self, batch: &RowBatch<'_>) -> Result<(), PostgresError> {
        let WriterConnection { connection, statements } = self.connected()?;
        let rows = [changes(batch), sessions(batch), participants(batch)];
        connection.ask(ANSWER_TIMEOUT, async |client| transact(client, statements, &rows).await)
    }
}

impl Sink for PostgresSink {
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError> {
        let batch = RowBatch::of(jobs).map_err(|why| WriteError::BadJob(format!("a job cannot be read: {why}")))?;
        let mut retries = 0;
        loop {
            let Err(failure) = self.try_write(&batch) else { return Ok(()) };
            let is_conflict = failure.state().is_some_and(|state| state.code().starts_with("40"));
            if is_conflict && retries < CONFLICT_RETRIES_MAX {
                retries += 1;
                continue;
            }
            let error = classify(&failure);
            if matches!(error, WriteError::Unavailable(_)) {
                self.writer = None;
            }
            return Err(error);
        }
    }

    fn probe(&mut self) -> Result<(), WriteError> {
        let probed = self
            .connected()
            .and_then(|writer| writer.connection.ask(PROBE_TIMEOUT, async |client| client.batch_execute(PROBE).await));
        probed.map_err(|failure| {
            self.writer = None;
            WriteError::Unavailable(failure.to_string())
        })
    }

    fn disconnect(&mut self) {
        self.writer = None;
    }
}

async fn prepare(client: &mut Client) -> Result<Statements, Error> {
    Ok(Statements {
        changes: client.prepare(include_str!("../../sql/write_events.sql")).await?,
        sessions: client.prepare(include_str!("../../sql/write_sessions.sql")).await?,
        participants: client.prepare(include_str!("../../sql/write_participants.sql")).await?,
    })
}

/// All or nothing: after a statement that fails the server refuses the rest, and the end rolls back.
async fn transact(client: &Client, statements: &Statements, rows: &[Vec<Parameter<'_>>; 3]) -> Result<(), Error> {
    let [changes, sessions, participants] = rows.each_ref().map(|rows| references(rows));
    // Sent in this order before any reply is awaited.
    let (begun, changes, sessions, participants, ended) = tokio::join!(
        biased;
        client.batch_execute("begin"),
        client.execute(&statements.changes, &changes),
        client.execute(&statements.sessions, &sessions),
        client.execute(&statements.participants, &participants),
        client.batch_execute("commit"),
    );
    begun.and(changes).and(sessions).and(participants).and(ended)
}

fn references<'r>(parameters: &'r [Parameter<'_>]) -> Vec<&'r (dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect()
}

/// A column of rows, or several.
type Parameter<'a> = Box<dyn ToSql + Sync + Send + 'a>;

fn changes<'a>(batch: &'a RowBatch<'_>) -> Vec<Parameter<'a>> {
    let rows = || batch.changes.iter();
    vec![
        column(rows().map(|row| PgUuid(row.name.event))),
        column(rows().map(|row| PgUuid(row.name.session.0))),
        column(rows().map(|row| row.kind)),
        column(rows().map(|row| row.participant.map(|id| PgUuid(id.0)))),
        column(rows().map(|row| row.group.map(|id| PgUuid(id.0)))),
        column(rows().map(|row| row.time_remaining.map(PgBigint::from))),
        column(rows().map(|row| row.time_elapsed.map(PgBigint::from))),
        column(rows().map(|row| PgBigint(row.cycles))),
        column(rows().map(|row| PgTimestamp(row.name.at))),
        column(rows().map(|row| PgJson(row.state))),
        column(rows().map(|row| PgJson(&row.events))),
        column(rows().map(|row| PgBigint(row.name.tag.epoch))),
        column(rows().map(|row| PgBigint(row.name.tag.version))),
        column(rows().map(|row| row.actor.as_deref())),
    ]
}

fn sessions<'a>(batch: &'a RowBatch<'_>) -> Vec<Parameter<'a>> {
    let rows = || batch.sessions.values();
    vec![
        column(batch.sessions.keys().map(|id| PgUuid(id.0))),
        column(rows().map(|row| row.state.mode)),
        column(rows().map(|row| row.state.time_per_cycle.map(PgBigint::from))),
        column(rows().map(|row| PgBigint::from(row.state.increment))),
        column(rows().map(|row| row.state.max_time.map(PgBigint::from))),
        column(rows().map(|row| PgTimestamp(row.state.created_at))),
        column(rows().map(|row| row.state.started_at.map(PgTimestamp))),
        column(rows().map(|row| row.state.completed_at.map(PgTimestamp))),
        column(rows().map(|row| row.state.final_status)),
        column(rows().map(|row| PgBigint(row.cycles))),
        column(rows().map(|row| PgBigint(row.state.participants.len() as u64))),
        column(rows().map(|row| row.state.metadata.map(PgJson))),
        column(rows().map(|row| PgTimestamp(row.at))),
        column(rows().map(|row| PgBigint(row.tag.epoch))),
        column(rows().map(|row| PgBigint(row.tag.version))),
        column(rows().map(|row| row.is_deleted.then_some(PgTimestamp(row.at)))),
        column(rows().map(|row| row.state.status)),
        column(rows().map(|row| row.state.deadline.map(PgTimestamp))),
        column(rows().map(|row| row.state.time_controls.map(PgJson))),
    ]
}

fn participants<'a>(batch: &'a RowBatch<'_>) -> Vec<Parameter<'a>> {
    let rows = || batch.participants.values();
    vec![
        column(batch.participants.keys().map(|(session, _)| PgUuid(session.0))),
        column(batch.participants.keys().map(|(_, participant)| PgUuid(participant.0))),
        column(rows().map(|row| PgBigint::from(row.participant.initial_time))),
        column(rows().map(|row| row.participant.group.map(|id| PgUuid(id.0)))),
        column(rows().map(|row| PgBigint(row.participant.cycles))),
        column(rows().map(|row| PgBigint::from(row.participant.used))),
        column(rows().map(|row| PgTimestamp(row.added_at))),
        column(rows().map(|row| row.turns.first.map(PgTimestamp))),
        column(rows().map(|row| row.turns.last.map(PgTimestamp))),
        column(rows().map(|row| PgJson(row.participant.metadata()))),
        column(rows().map(|row| PgBigint(row.tag.epoch))),
        column(rows().map(|row| PgBigint(row.tag.version))),
    ]
}

fn column<'a, T: ToSql + Sync + Send + 'a>(values: impl Iterator<Item = T>) -> Parameter<'a> {
    Box::new(values.collect::<Vec<_>>())
}

/// Classifies an error by the class of its SQLSTATE: the job's or the server's, and whether a retry helps.
fn classify(failure: &PostgresError) -> WriteError {
    let why = failure.to_string();
    let Some(state) = failure.state() else { return WriteError::Unavailable(why) };
    match &state.code()[..2] {
        // What is in the jobs: data, or more of it than the database takes.
        "22" | "54" => WriteError::BadJob(why),
        "23" => WriteError::Constraint(why),
        // Repeated conflicts: fewer rows conflict less.
        "40" => WriteError::Conflict(why),
        "57" if *state == SqlState::QUERY_CANCELED => WriteError::Timeout(why),
        // A lost connection or prepared statement, roles, a missing database or table, a server that is read-only, full,
        // stopped or broken, and rows that are locked.
        "08" | "25" | "26" | "28" | "3D" | "42" | "53" | "55" | "57" | "58" => WriteError::Unavailable(why),
        _ => WriteError::Unclear(why),
    }
}
