//! Writes batches of jobs, each in one statement (`sql/write.sql`). Does not know what a job means to the queue, nor
//! when to try again.

use std::time::Duration;

use postgres::{Client, Error, Statement};

use crate::audit::{Sink, WriteError};

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
        let jobs = jobs.iter().map(|job| std::str::from_utf8(job)).collect::<Result<Vec<_>, _>>();
        let jobs = jobs.map_err(|error| WriteError::Job(format!("a job is no text: {error}")))?;
        let link = self.link().map_err(|error| WriteError::Away(described(&error)))?;
        let written = link.client.execute(&link.write, &[&jobs]);
        written.map(|_| ()).map_err(|error| {
            let error = judged(&error);
            if matches!(error, WriteError::Away(_)) {
                self.link = None;
            }
            error
        })
    }
}

/// Whose fault an error is, by the class of its SQLSTATE.
fn judged(error: &Error) -> WriteError {
    let why = described(error);
    let Some(state) = error.code() else { return WriteError::Away(why) };
    match &state.code()[..2] {
        // What is in the jobs: data, or more of it than the database takes.
        "22" | "54" => WriteError::Job(why),
        "23" => WriteError::Never(why),
        // Connection, roles, a missing database or table, a server that only reads, one that is full, one that is
        // stopped or broken, and transactions that met each other.
        "08" | "25" | "28" | "3D" | "40" | "42" | "53" | "57" | "58" => WriteError::Away(why),
        _ => WriteError::Unclear(why),
    }
}
