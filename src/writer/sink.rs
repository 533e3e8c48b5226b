//! Writes batches of jobs, each in one statement (`sql/write.sql`). Does not know what a job means to the queue, nor
//! when to try again.

use std::time::Duration;

use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Error, Statement};

use crate::audit::{Sink, WriteError};

use super::batch::Batch;
use super::binary::{At, Id, Json, Whole};
use super::server::{Server, described};

/// How long a batch may take, waiting for other writers included.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that writes. Made when it is first needed, and again after it was lost.
pub struct PostgresSink {
    server: Server,
    link: Option<Link>,
}

struct Link {
    client: Client,
    write: Statement,
}

impl PostgresSink {
    /// Writes into `server`. Does not connect yet.
    pub fn new(server: Server) -> Self {
        Self { server, link: None }
    }

    fn link(&mut self) -> Result<&mut Link, Error> {
        let link = match self.link.take() {
            Some(link) => link,
            None => {
                let mut client = self.server.connect(STATEMENT_TIMEOUT)?;
                let write = client.prepare(include_str!("../../sql/write.sql"))?;
                Link { client, write }
            }
        };
        Ok(self.link.insert(link))
    }
}

impl Sink for PostgresSink {
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError> {
        let batch = Batch::of(jobs).map_err(|why| WriteError::Job(format!("a job cannot be read: {why}")))?;
        let link = self.link().map_err(|error| WriteError::Away(described(&error)))?;
        let parameters = parameters(&batch);
        let parameters: Vec<_> = parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect();
        let written = link.client.execute(&link.write, &parameters);
        written.map(|_| ()).map_err(|error| {
            let error = judged(&error);
            if matches!(error, WriteError::Away(_)) {
                self.link = None;
            }
            error
        })
    }
}

/// A column of rows, or several.
type Parameter<'a> = Box<dyn ToSql + Sync + 'a>;

/// The parameters of `sql/write.sql`, in its order.
fn parameters<'a>(batch: &'a Batch<'_>) -> Vec<Parameter<'a>> {
    let mut parameters = changes(batch);
    parameters.extend(sessions(batch));
    parameters.extend(participants(batch));
    parameters
}

fn changes<'a>(batch: &'a Batch<'_>) -> Vec<Parameter<'a>> {
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

fn sessions<'a>(batch: &'a Batch<'_>) -> Vec<Parameter<'a>> {
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
    ]
}

fn participants<'a>(batch: &'a Batch<'_>) -> Vec<Parameter<'a>> {
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

fn column<'a, T: ToSql + Sync + 'a>(values: impl Iterator<Item = T>) -> Parameter<'a> {
    Box::new(values.collect::<Vec<_>>())
}

/// Whose fault an error is, by the class of its SQLSTATE.
fn judged(error: &Error) -> WriteError {
    let why = described(error);
    let Some(state) = error.code() else { return WriteError::Away(why) };
    match &state.code()[..2] {
        // What is in the jobs: data, or more of it than the database takes.
        "22" | "54" => WriteError::Job(why),
        "23" => WriteError::Never(why),
        "57" if *state == SqlState::QUERY_CANCELED => WriteError::Late(why),
        // Connection, statements that it has forgotten, roles, a missing database or table, a server that only reads, one
        // that is full, what somebody has locked, one that is stopped or broken, and transactions that met each other.
        "08" | "25" | "26" | "28" | "3D" | "40" | "42" | "53" | "55" | "57" | "58" => WriteError::Away(why),
        _ => WriteError::Unclear(why),
    }
}
