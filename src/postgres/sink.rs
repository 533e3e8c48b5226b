//! Writes batches of jobs, each in one transaction and one round trip. Does not know what a job means to the queue, nor
//! when to try again.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use crate::audit::{Sink, WriteError};

use super::binary::{At, Id, Json, Whole};
use super::connection::{Connection, Failure};
use super::row_batch::RowBatch;
use super::server::Server;

/// How long a statement may take, waiting for other writers included.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a transaction may take until the server counts as gone: its three statements, each in time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a question may take that touches no row.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What only a server that can be written answers without an error.
const PROBE: &str = "begin; lock table sync_events in row exclusive mode; commit";

/// How often transactions that met others are tried again at once.
const MEETINGS_MAX: usize = 5;

/// A connection that writes. Made when it is first needed, and again after it was lost.
pub struct PostgresSink {
    server: Server,
    link: Option<Link>,
}

struct Link {
    connection: Connection,
    write: Statements,
}

/// In the order in which they are run. Changes meet nobody, and take longest; sessions and participants are what other
/// writers want too, and are held only after them. All writers touch rows in the same order, and wait for each other never
/// in a circle.
#[derive(Clone)]
struct Statements {
    changes: Statement,
    sessions: Statement,
    participants: Statement,
}

impl PostgresSink {
    /// Writes into `server`. Does not connect yet.
    pub fn new(server: Server) -> Self {
        Self { server, link: None }
    }

    fn link(&mut self) -> Result<&mut Link, Failure> {
        let link = match self.link.take() {
            Some(link) => link,
            None => {
                let mut connection = self.server.connect(STATEMENT_TIMEOUT)?;
                let write = connection.ask(PROBE_TIMEOUT, prepare)?;
                Link { connection, write }
            }
        };
        Ok(self.link.insert(link))
    }

    fn try_write(&mut self, batch: &RowBatch<'_>) -> Result<(), Failure> {
        let Link { connection, write } = self.link()?;
        let rows = [changes(batch), sessions(batch), participants(batch)];
        connection.ask(ANSWER_TIMEOUT, async |client| transact(client, write, &rows).await)
    }
}

impl Sink for PostgresSink {
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError> {
        let batch = RowBatch::of(jobs).map_err(|why| WriteError::BadJob(format!("a job cannot be read: {why}")))?;
        let mut meetings = 0;
        loop {
            let Err(failure) = self.try_write(&batch) else { return Ok(()) };
            let has_met_others = failure.state().is_some_and(|state| state.code().starts_with("40"));
            if has_met_others && meetings < MEETINGS_MAX {
                meetings += 1;
                continue;
            }
            let error = judged(&failure);
            if matches!(error, WriteError::Unavailable(_)) {
                self.link = None;
            }
            return Err(error);
        }
    }

    fn probe(&mut self) -> Result<(), WriteError> {
        let probed = self
            .link()
            .and_then(|link| link.connection.ask(PROBE_TIMEOUT, async |client| client.batch_execute(PROBE).await));
        probed.map_err(|failure| {
            self.link = None;
            WriteError::Unavailable(failure.to_string())
        })
    }

    fn disconnect(&mut self) {
        self.link = None;
    }
}

async fn prepare(client: &mut Client) -> Result<Statements, Error> {
    Ok(Statements {
        changes: client.prepare(include_str!("../../sql/write_events.sql")).await?,
        sessions: client.prepare(include_str!("../../sql/write_sessions.sql")).await?,
        participants: client.prepare(include_str!("../../sql/write_participants.sql")).await?,
    })
}

/// All or nothing: what follows a statement that fails is refused, and the end undoes what went before.
async fn transact(client: &Client, write: &Statements, rows: &[Vec<Parameter<'_>>; 3]) -> Result<(), Error> {
    let [changes, sessions, participants] = rows.each_ref().map(|rows| references(rows));
    // Sent in this order before anything is waited for.
    let (begun, changes, sessions, participants, ended) = tokio::join!(
        biased;
        client.batch_execute("begin"),
        client.execute(&write.changes, &changes),
        client.execute(&write.sessions, &sessions),
        client.execute(&write.participants, &participants),
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
        column(rows().map(|row| Id(row.name.event))),
        column(rows().map(|row| Id(row.name.session.0))),
        column(rows().map(|row| row.kind)),
        column(rows().map(|row| row.participant.map(|id| Id(id.0)))),
        column(rows().map(|row| row.group.map(|id| Id(id.0)))),
        column(rows().map(|row| row.time_remaining.map(Whole::from))),
        column(rows().map(|row| row.time_elapsed.map(Whole::from))),
        column(rows().map(|row| Whole(row.cycles))),
        column(rows().map(|row| At(row.name.at))),
        column(rows().map(|row| Json(row.state))),
        column(rows().map(|row| Json(&row.events))),
        column(rows().map(|row| Whole(row.name.tag.epoch))),
        column(rows().map(|row| Whole(row.name.tag.version))),
    ]
}

fn sessions<'a>(batch: &'a RowBatch<'_>) -> Vec<Parameter<'a>> {
    let rows = || batch.sessions.values();
    vec![
        column(batch.sessions.keys().map(|id| Id(id.0))),
        column(rows().map(|row| row.state.mode)),
        column(rows().map(|row| row.state.time_per_cycle.map(Whole::from))),
        column(rows().map(|row| Whole::from(row.state.increment))),
        column(rows().map(|row| row.state.max_time.map(Whole::from))),
        column(rows().map(|row| At(row.state.created_at))),
        column(rows().map(|row| row.state.started_at.map(At))),
        column(rows().map(|row| row.state.completed_at.map(At))),
        column(rows().map(|row| row.state.final_status)),
        column(rows().map(|row| Whole(row.cycles))),
        column(rows().map(|row| Whole(row.state.participants.len() as u64))),
        column(rows().map(|row| row.state.metadata.map(Json))),
        column(rows().map(|row| At(row.at))),
        column(rows().map(|row| Whole(row.tag.epoch))),
        column(rows().map(|row| Whole(row.tag.version))),
        column(rows().map(|row| row.is_deleted.then_some(At(row.at)))),
        column(rows().map(|row| row.state.status)),
        column(rows().map(|row| row.state.deadline.map(At))),
    ]
}

fn participants<'a>(batch: &'a RowBatch<'_>) -> Vec<Parameter<'a>> {
    let rows = || batch.participants.values();
    vec![
        column(batch.participants.keys().map(|(session, _)| Id(session.0))),
        column(batch.participants.keys().map(|(_, participant)| Id(participant.0))),
        column(rows().map(|row| Whole::from(row.participant.initial_time))),
        column(rows().map(|row| row.participant.group.map(|id| Id(id.0)))),
        column(rows().map(|row| Whole(row.participant.cycles))),
        column(rows().map(|row| Whole::from(row.participant.used))),
        column(rows().map(|row| At(row.added_at))),
        column(rows().map(|row| row.turns.first.map(At))),
        column(rows().map(|row| row.turns.last.map(At))),
        column(rows().map(|row| Json(row.participant.metadata()))),
        column(rows().map(|row| Whole(row.tag.epoch))),
        column(rows().map(|row| Whole(row.tag.version))),
    ]
}

fn column<'a, T: ToSql + Sync + Send + 'a>(values: impl Iterator<Item = T>) -> Parameter<'a> {
    Box::new(values.collect::<Vec<_>>())
}

/// Whose fault a failure is, by the class of its SQLSTATE.
fn judged(failure: &Failure) -> WriteError {
    let why = failure.to_string();
    let Some(state) = failure.state() else { return WriteError::Unavailable(why) };
    match &state.code()[..2] {
        // What is in the jobs: data, or more of it than the database takes.
        "22" | "54" => WriteError::BadJob(why),
        "23" => WriteError::Constraint(why),
        // Transactions that met each other again and again: fewer rows meet less.
        "40" => WriteError::Conflict(why),
        "57" if *state == SqlState::QUERY_CANCELED => WriteError::Timeout(why),
        // Connection, statements that it has forgotten, roles, a missing database or table, a server that only reads, one
        // that is full, what somebody has locked, and one that is stopped or broken.
        "08" | "25" | "26" | "28" | "3D" | "42" | "53" | "55" | "57" | "58" => WriteError::Unavailable(why),
        _ => WriteError::Unclear(why),
    }
}
