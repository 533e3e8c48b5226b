//! Answers to a client's messages. Does not know how the answers get there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::caller::Caller;
use crate::engine::{Command, Precondition, Refusal, SessionId};
use crate::problem::Problem;
use crate::sessions::{ClientRateLimit, CommandRequest, Failure, SessionView, Sessions};
use crate::store::{Arrival, PartitionClocks};
use crate::wire::{self, BodyPieces, ClientCommand, FieldProblems, RequestedChange};

/// Answers one client's messages about one session.
pub(super) struct Answers {
    pub(super) id: SessionId,
    pub(super) caller: Caller,
    /// As this client asks for them.
    pub(super) sessions: Sessions,
    pub(super) clocks: Arc<dyn PartitionClocks>,
    pub(super) client_limit: ClientRateLimit,
    pub(super) request_timeout: Duration,
}

impl Answers {
    /// The answer to a PING.
    pub(super) async fn pong(&self, client_timestamp: Option<&str>, arrival: Arrival) -> Bytes {
        let received_at = arrival.at();
        drop(arrival);
        let now = self.in_time(self.clocks.now_near(self.id)).await;
        match now.and_then(|now| now.map_err(Problem::from)) {
            Ok(now) => wire::pong(client_timestamp, received_at, now),
            Err(problem) => failed(&problem),
        }
    }

    /// The state, or the error message that a client is sent instead.
    pub(super) async fn state(&self) -> Result<SessionView, Bytes> {
        let seen = self.in_time(self.sessions.read(self.id)).await;
        seen.and_then(|seen| seen.map_err(Problem::from)).map_err(|problem| failed(&problem))
    }

    /// The result of a command. The session's deadline waits while an arrival is held.
    pub(super) async fn result(&self, command: ClientCommand, arrival: Arrival) -> Bytes {
        let arrived = arrival.at();
        match self.ask(command.change, arrival).await {
            Ok(answer) => wire::result_data(&command.request_id, 200, &answer),
            Err(problem) => {
                let now =
                    self.in_time(self.clocks.now_near(self.id)).await.ok().and_then(Result::ok).unwrap_or(arrived);
                wire::result_error(&command.request_id, problem.status, &problem.json(), now)
            }
        }
    }

    async fn ask(
        &self,
        change: Result<RequestedChange, FieldProblems>,
        arrival: Arrival,
    ) -> Result<BodyPieces, Problem> {
        // A limit that cannot be counted lets through.
        let quota = self.client_limit.hit(self.caller.address()).await.unwrap_or_default();
        if quota.is_some_and(|quota| quota.is_exceeded()) {
            return Err(Problem::too_many_requests());
        }
        let (command, version) = change.map_err(Problem::invalid)?;
        let is_switch = matches!(command, Command::Switch { .. });
        let precondition = Precondition { one_of: None, version };
        let request = CommandRequest { precondition, client: Some(self.caller.address()), ..command.into() };
        let asked = timeout(self.request_timeout, self.sessions.change(self.id, arrival, request));
        let done = asked.await.map_err(|_| Problem::unknown_outcome())?.result?;
        match &done.record {
            Some(record) if is_switch => Ok(wire::switched(record.session(), record.encoded(), done.outcome, done.now)),
            Some(record) => Ok(wire::session(record.encoded().body(), done.now)),
            None => Err(self.not_found()),
        }
    }

    fn not_found(&self) -> Problem {
        Failure::Refused(self.id, Refusal::NotFound).into()
    }

    async fn in_time<T>(&self, asked: impl Future<Output = T>) -> Result<T, Problem> {
        let limit: Duration = self.request_timeout;
        timeout(limit, asked).await.map_err(|_| Problem::unavailable("The answer takes too long"))
    }
}

/// A problem of a message that has no name to answer to.
fn failed(problem: &Problem) -> Bytes {
    wire::message_error(problem.code, &problem.message)
}
