//! Answers to a client's messages. Does not know how the answers get there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::auth::{Action, Denied, Identity, Permission};
use crate::caller::{Authentication, Caller};
use crate::clock::Clock;
use crate::engine::{Command, Precondition, Refusal, SessionId, Timestamp};
use crate::problem::Problem;
use crate::sessions::{ClientRateLimit, CommandRequest, Failure, SessionView, Sessions};
use crate::store::{Arrival, PartitionClocks};
use crate::wire::{self, BodyPieces, ClientCommand, FieldProblems, RequestedChange};

/// Answers one client's messages about one session.
pub(super) struct Answers {
    pub(super) id: SessionId,
    /// It may say who it is anew.
    pub(super) caller: Mutex<Caller>,
    /// As this client asks for them.
    pub(super) sessions: Sessions,
    pub(super) clocks: Arc<dyn PartitionClocks>,
    pub(super) client_limit: ClientRateLimit,
    pub(super) clock: Clock,
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

    /// The time of the session, or when that cannot be had of this process.
    pub(super) async fn now(&self) -> Timestamp {
        let now = self.in_time(self.clocks.now_near(self.id)).await;
        now.ok().and_then(Result::ok).unwrap_or_else(|| self.clock.now())
    }

    /// When the client's token ends, as it was told.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        let expires_s = self.caller.lock().identity().and_then(|identity| identity.expires_s());
        expires_s.map(|seconds| Timestamp::from_ms(seconds.saturating_mul(1_000)))
    }

    /// The client is somebody anew, unless it is another one or may not watch any more.
    pub(super) fn renew(&self, identity: &Arc<Identity>) -> bool {
        let mut caller = self.caller.lock();
        let is_same = caller.identity().is_some_and(|known| known.name() == identity.name());
        let renewed = Caller::new(caller.address(), Authentication::Identified(Arc::clone(identity)));
        if !is_same || renewed.permit(self.id, Action::Use(Permission::Watch)).is_err() {
            return false;
        }
        *caller = renewed;
        true
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
        let (counted, generally_counted) = {
            let caller = self.caller.lock();
            (caller.counted(), caller.generally_counted())
        };
        let quota = match generally_counted {
            Some(counted) => self.client_limit.hit(counted).await.unwrap_or_default(),
            None => None,
        };
        if quota.is_some_and(|quota| quota.is_exceeded()) {
            return Err(Problem::too_many_requests());
        }
        let (mut command, version) = change.map_err(Problem::invalid)?;
        self.permit(&mut command).map_err(Problem::denied)?;
        let is_switch = matches!(command, Command::Switch { .. });
        let precondition = Precondition { one_of: None, version };
        let request = CommandRequest { precondition, client: Some(counted), ..command.into() };
        let asked = timeout(self.request_timeout, self.sessions.change(self.id, arrival, request));
        let done = asked.await.map_err(|_| Problem::unknown_outcome())?.result?;
        match &done.record {
            Some(record) if is_switch => Ok(wire::switched(record.session(), record.encoded(), done.outcome, done.now)),
            Some(record) => Ok(wire::session(record.encoded().body(), done.now)),
            None => Err(self.not_found()),
        }
    }

    /// Whether the client may do that; a switch that says nothing ends the client's own turn, where it may end no other.
    fn permit(&self, command: &mut Command) -> Result<(), Denied> {
        let action = match command {
            Command::Switch { next, current } => Action::Switch { next: *next, current },
            Command::Start => Action::Use(Permission::Start),
            Command::Pause => Action::Use(Permission::Pause),
            Command::Resume => Action::Use(Permission::Resume),
            Command::Complete => Action::Use(Permission::Complete),
            Command::Cancel => Action::Use(Permission::Cancel),
            Command::Delete => Action::Use(Permission::Delete),
            Command::Patch(_) => Action::Patch { is_metadata_only: false },
            // Nobody can ask for it.
            Command::Settle => return Ok(()),
        };
        self.caller.lock().permit(self.id, action)
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
