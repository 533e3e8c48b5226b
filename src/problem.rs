//! Errors as clients see them: the one table from what went wrong to status, code, message and details, for REST answers and
//! WebSocket results alike. Does not know how they are sent.

use std::borrow::Cow;

use bytes::Bytes;

use crate::auth::{AuthError, Denied};
use crate::engine::{ClockSetting, Refusal, SessionId};
use crate::revocations::RevocationRefusal;
use crate::sessions::{Failure, STATE_LEN_MAX};
use crate::store::StoreError;
use crate::wire::{self, Details, NotJson, ProblemCode};

/// How long a client should wait before it retries what the server could not answer.
const RETRY_AFTER_S: u32 = 1;

/// An error, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The name for programs.
    pub code: &'static str,
    /// The message for people.
    pub message: Cow<'static, str>,
    /// What else a program needs.
    pub details: Details,
    /// When to come back, in seconds.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), details: Details::None, retry_after_s: None }
    }

    fn with(self, details: Details) -> Self {
        Self { details, ..self }
    }

    /// The error as JSON.
    pub fn json(&self) -> Bytes {
        wire::error(self.code, &self.message, &self.details)
    }

    /// Fields of a request are wrong.
    pub fn invalid(problems: Vec<wire::FieldProblem>) -> Self {
        Self::new(400, "VALIDATION_ERROR", "Request validation failed").with(Details::FieldProblems(problems))
    }

    /// The name that a request is given cannot be one.
    pub fn invalid_key(field: &str, message: &'static str) -> Self {
        Self::invalid_field(field, ProblemCode::InvalidFormat, message.to_owned())
    }

    /// One field of a request is wrong.
    fn invalid_field(field: &str, code: ProblemCode, message: String) -> Self {
        Self::invalid(vec![wire::FieldProblem { field: field.to_owned(), message: message.into(), code }])
    }

    /// It is not known who asks.
    pub fn unauthenticated(error: &AuthError) -> Self {
        match error {
            AuthError::Missing => {
                Self::new(401, "UNAUTHENTICATED", "Say who asks: Authorization: Bearer, then a key or a token")
            }
            AuthError::Invalid(_) | AuthError::UnknownKey(_) => {
                Self::new(401, "INVALID_TOKEN", "This is no key and no token that counts here")
            }
            AuthError::Unavailable(_) => Self::unavailable("The keys of the token's issuer cannot be read"),
            AuthError::Expired => Self::new(401, "TOKEN_EXPIRED", "The token has ended: get a new one"),
            AuthError::Revoked => Self::new(401, "TOKEN_REVOKED", "The token was revoked: get a new one"),
            AuthError::RevocationsUnknown => Self::unavailable("It is not known yet which tokens were revoked"),
            AuthError::TooMany => Self::limited("Too many wrong tokens came from this address", 1),
        }
    }

    /// Who asks may not do that.
    pub fn denied(denied: Denied) -> Self {
        match denied {
            Denied::Needs(permission) => {
                Self::new(403, "FORBIDDEN", "Who asks may not do that").with(Details::Needs(permission.name()))
            }
            Denied::MustName => Self::invalid_field(
                "current_participant_id",
                ProblemCode::InvalidType,
                "Required: who asks may end the turns of several participants".to_owned(),
            ),
            Denied::Nobody => Self::unauthenticated(&AuthError::Missing),
            Denied::Revoked => Self::unauthenticated(&AuthError::Revoked),
        }
    }

    /// The server is asked by another name than its own.
    pub fn host_not_allowed() -> Self {
        Self::new(403, "HOST_NOT_ALLOWED", "This server is not asked by this name; ALLOWED_HOSTS says by which it is")
    }

    /// A proxy may have let in anybody.
    pub fn proxied() -> Self {
        let message = "The request came through a proxy to a server without keys: give it keys, or say AUTH=off";
        Self::new(403, "PROXIED", message)
    }

    /// Another site's page asks.
    pub fn origin_not_allowed() -> Self {
        Self::new(403, "ORIGIN_NOT_ALLOWED", "Pages of this origin may not ask; CORS_ORIGIN says whose may")
    }

    /// The request is not HTTP as it must be.
    pub fn bad_request(what: &'static str) -> Self {
        Self::new(400, "BAD_REQUEST", what)
    }

    /// The head of the request is longer than it may be.
    pub fn head_too_large() -> Self {
        Self::new(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "The head of the request is too long")
    }

    /// No such route.
    pub fn unknown_route() -> Self {
        Self::new(404, "NOT_FOUND", "There is nothing at this path; /api-docs lists what there is")
    }

    /// The route does not have this method.
    pub fn wrong_method(allow: &str) -> Self {
        Self::new(405, "METHOD_NOT_ALLOWED", format!("This path takes {allow}"))
    }

    /// The client took too long.
    pub fn too_slow(what: &'static str) -> Self {
        Self::new(408, "REQUEST_TIMEOUT", what)
    }

    /// The body is longer than it may be.
    pub fn body_too_large(max: usize) -> Self {
        Self::new(413, "PAYLOAD_TOO_LARGE", format!("A body has at most {max} bytes"))
    }

    /// Bodies on their way take as much memory as they may.
    pub fn too_many_bodies() -> Self {
        Self::unavailable("The bodies that are on their way take as much memory as they may")
    }

    /// The body broke off, or its framing is wrong.
    pub fn broken_body() -> Self {
        Self::new(400, "INVALID_JSON", "The body could not be read to its end")
    }

    /// The body is compressed.
    pub fn encoded_body() -> Self {
        Self::new(415, "UNSUPPORTED_ENCODING", "A body has no Content-Encoding other than identity")
    }

    /// The path speaks WebSocket only.
    pub fn upgrade_required() -> Self {
        Self::new(426, "UPGRADE_REQUIRED", "This path takes WebSocket connections (RFC 6455, version 13)")
    }

    /// The client asks too often.
    pub fn too_many_requests() -> Self {
        Self::limited("Too many requests, please try again later", 60)
    }

    /// The server serves as many connections as it may.
    pub fn too_many_connections() -> Self {
        Self::unavailable("The server has as many connections as it may")
    }

    /// As many clients as may have not said yet who they are.
    pub fn too_many_unknown() -> Self {
        Self::unavailable("Too many clients have yet to say who they are")
    }

    /// Nothing was changed, and a retry may help.
    pub fn unavailable(message: &'static str) -> Self {
        Self { retry_after_s: Some(RETRY_AFTER_S), ..Self::new(503, "UNAVAILABLE", message) }
    }

    /// It is not known whether something was changed.
    pub fn unknown_outcome() -> Self {
        let message = "The change may or may not have been made: repeat it with the same Idempotency-Key, or read and repeat with expected_version";
        Self::new(503, "UNKNOWN_OUTCOME", message)
    }

    /// A newer server wrote the session, in a form that this one does not know.
    fn newer() -> Self {
        let message = "A newer server wrote this session, and this one cannot read it: an upgrade is in progress";
        Self { retry_after_s: Some(RETRY_AFTER_S), ..Self::new(503, "UPGRADE_IN_PROGRESS", message) }
    }

    /// Another server could not read what would be written.
    fn too_new() -> Self {
        let message = "Not every server that shares these sessions reads time controls yet: an upgrade is in progress, or RECORD_FORMAT is below 2";
        Self { retry_after_s: Some(RETRY_AFTER_S), ..Self::new(503, "UPGRADE_IN_PROGRESS", message) }
    }

    /// A fault of ours; what it is, is in the log.
    pub fn internal() -> Self {
        Self::new(500, "INTERNAL_ERROR", "Something went wrong")
    }

    /// A session's limit on switches is reached.
    fn too_many_switches() -> Self {
        Self::limited("Too many cycle switches for this session, please slow down", 1)
    }

    fn limited(message: &'static str, retry_after_s: u32) -> Self {
        let problem = Self::new(429, "RATE_LIMIT_EXCEEDED", message).with(Details::RetryAfter(retry_after_s));
        Self { retry_after_s: Some(retry_after_s), ..problem }
    }

    fn refused(id: SessionId, refusal: Refusal) -> Self {
        let transition = |what: &str, status: crate::engine::Status| {
            let message = format!("Session {id} {what} (current status: {})", status.name());
            Self::new(400, "INVALID_STATE_TRANSITION", message)
        };
        match refusal {
            Refusal::NotFound => Self::new(404, "SESSION_NOT_FOUND", format!("Session {id} not found")),
            Refusal::Exists => Self::new(409, "SESSION_EXISTS", format!("Session {id} already exists")),
            Refusal::Conflict { actual_version, expected_version } => {
                Self::new(409, "CONFLICT", format!("Session {id} is at version {actual_version}"))
                    .with(Details::Versions { actual: actual_version, expected: expected_version })
            }
            Refusal::CannotStart(status) => transition("cannot be started", status),
            Refusal::CannotPause(status) => transition("cannot be paused", status),
            Refusal::CannotResume(status) => transition("cannot be resumed", status),
            Refusal::NotRunning(status) => transition("not running", status),
            Refusal::CannotUpdate(status) => transition("takes new metadata only", status),
            Refusal::UnknownParticipant(participant) => {
                Self::new(400, "VALIDATION_ERROR", format!("Participant {participant} not found in session"))
            }
            Refusal::ExpiredParticipant(participant) => {
                Self::new(400, "VALIDATION_ERROR", format!("Participant {participant} has expired"))
            }
            Refusal::MaxTimeBelowUsed { used } => {
                let message = format!("Must be at least {}, which has been used already", used.as_ms());
                Self::invalid_field("max_time_ms", ProblemCode::TooSmall, message)
            }
            Refusal::TotalTimeUsed { total } => {
                let message = format!(
                    "Must not become advance: the session's total_time_ms ({}) is used up, and no further turn could begin",
                    total.as_ms()
                );
                Self::invalid_field("on_timeout", ProblemCode::InvalidValue, message)
            }
            Refusal::SetByTimeControl(setting) => {
                let field = match setting {
                    ClockSetting::Increment => "increment_ms",
                    ClockSetting::TimePerCycle => "time_per_cycle_ms",
                    ClockSetting::MaxTime => "max_time_ms",
                };
                Self::invalid_field(field, ProblemCode::Conflict, "The session's time control says it".to_owned())
            }
            Refusal::CannotAdvance => {
                let message = "Must not become advance: under the session's time control no flag begins the next turn";
                Self::invalid_field("on_timeout", ProblemCode::Conflict, message.to_owned())
            }
            Refusal::StateTooLarge => {
                let message = format!("The session's state must be at most {STATE_LEN_MAX} bytes of JSON");
                Self::invalid_field("", ProblemCode::TooBig, message)
            }
            Refusal::OtherCommand => {
                let message = "This Idempotency-Key names another request: a new request needs a new one";
                Self::new(422, "IDEMPOTENCY_MISMATCH", message)
            }
            Refusal::MetadataTooLarge => {
                let message = format!("Must be at most {} bytes of JSON when merged", wire::METADATA_LEN_MAX);
                Self::invalid_field("metadata", ProblemCode::TooBig, message)
            }
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(id, refusal) => Self::refused(id, refusal),
            Failure::Limited(_) => Self::too_many_switches(),
            Failure::Store(error) => error.into(),
            Failure::NoHistory => Self::new(404, "NOT_FOUND", "This server keeps no history: nothing is audited"),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(message) => Self::unavailable(message),
            StoreError::UnknownOutcome => Self::unknown_outcome(),
            StoreError::Unreadable => Self::new(500, "STATE_DESERIALIZATION_ERROR", "The stored state cannot be read"),
            StoreError::Newer => Self::newer(),
            StoreError::TooNew => Self::too_new(),
            StoreError::Broken | StoreError::Fault => Self::internal(),
        }
    }
}

impl From<RevocationRefusal> for Problem {
    fn from(refusal: RevocationRefusal) -> Self {
        match refusal {
            RevocationRefusal::Over => {
                Self::invalid_field("until", ProblemCode::TooSmall, "Must be later than now".to_owned())
            }
            RevocationRefusal::Full => Self::unavailable("There are as many revocations as there may be"),
            RevocationRefusal::Store(error) => error.into(),
        }
    }
}

impl From<NotJson> for Problem {
    fn from(error: NotJson) -> Self {
        Self::new(400, "INVALID_JSON", format!("The body is not JSON: {}", error.0))
    }
}
