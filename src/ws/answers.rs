//! Answers to a client's messages. Does not know how the answers get there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::auth::{Action, Denied, Identity, Permission};
use crate::caller::{Authentication, Caller};
use crate::clock::Clock;
use crate::engine::{Command, ParticipantId, Precondition, Refusal, SessionId, Timestamp};
use crate::problem::Problem;
use crate::sessions::{ClientRateLimit, CommandRequest, Failure, SessionView, Sessions};
use crate::store::{Arrival, PartitionClocks};
use crate::wire::{self, BodyPieces, ClientCommand, FieldProblems, RequestKey, RequestedChange};

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
        let (answer, is_replayed) = self.ask(command.change, command.key, arrival).await;
        match answer {
            Ok(answer) => wire::result_data(&command.request_id, 200, is_replayed, &answer),
            Err(problem) => {
                let now =
                    self.in_time(self.clocks.now_near(self.id)).await.ok().and_then(Result::ok).unwrap_or(arrived);
                wire::result_error(&command.request_id, problem.status, is_replayed, &problem.json(), now)
            }
        }
    }

    /// The answer to a command, and whether it was carried out before.
    async fn ask(
        &self,
        change: Result<RequestedChange, FieldProblems>,
        key: Option<RequestKey>,
        arrival: Arrival,
    ) -> (Result<BodyPieces, Problem>, bool) {
        let request = match self.admit(change, key).await {
            Ok(request) => request,
            Err(problem) => return (Err(problem), false),
        };
        let is_switch = matches!(request.command, Command::Switch { .. });
        let asked = timeout(self.request_timeout, self.sessions.change(self.id, arrival, request)).await;
        let Ok(reply) = asked else { return (Err(Problem::unknown_outcome()), false) };
        let answer = reply.result.map_err(Problem::from).and_then(|done| match &done.record {
            Some(record) if is_switch => Ok(wire::switched(record.session(), record.encoded(), done.outcome, done.now)),
            Some(record) => Ok(wire::session(record.encoded().body(), done.now)),
            None => Err(self.not_found()),
        });
        (answer, reply.is_replayed)
    }

    /// A command that the client may send, if it is one.
    async fn admit(
        &self,
        change: Result<RequestedChange, FieldProblems>,
        key: Option<RequestKey>,
    ) -> Result<CommandRequest, Problem> {
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
        let origin = {
            let caller = self.caller.lock();
            let name = key.as_ref().map(|key| caller.command_name(&key.text)).transpose();
            let name = name.map_err(|why| Problem::invalid_key("idempotency_key", why))?;
            let asked_for = key.as_ref().map(|key| &key.request[..]);
            caller.origin(self.id, wire::word(&command), name.as_ref().zip(asked_for))
        };
        let participant = self.permit(&mut command).map_err(Problem::denied)?;
        let precondition = Precondition { one_of: None, version };
        Ok(CommandRequest { precondition, participant, client: Some(counted), origin, ..command.into() })
    }

    /// Whether the client may do that; a switch that says nothing ends the client's own turn, where it may end no other,
    /// and counts as that participant's: whose it is.
    fn permit(&self, command: &mut Command) -> Result<Option<ParticipantId>, Denied> {
        let mut own = None;
        let action = match command {
            Command::Switch { next, current } => Action::Switch { next: *next, current, own: &mut own },
            Command::Start => Action::Use(Permission::Start),
            Command::Pause => Action::Use(Permission::Pause),
            Command::Resume => Action::Use(Permission::Resume),
            Command::Complete => Action::Use(Permission::Complete),
            Command::Cancel => Action::Use(Permission::Cancel),
            Command::Delete => Action::Use(Permission::Delete),
            Command::Patch(_) => Action::Patch { is_metadata_only: false },
            // Nobody can ask for it.
            Command::Settle => return Ok(None),
        };
        self.caller.lock().permit(self.id, action)?;
        Ok(own)
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
