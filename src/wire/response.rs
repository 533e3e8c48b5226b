//! The bodies of REST answers: answers around a state's shared bytes, written by hand since they are hot, and errors and what the
//! server says of itself, which serde writes. Does not know status codes.

use bytes::Bytes;
use serde::Serialize;

use crate::engine::{Outcome, Session, Timestamp};

use super::state::Encoded;
use super::state_body::StateBody;
use super::validation::FieldProblem;
use super::write::{Write, json};

/// JSON in up to three pieces, of which the middle one is shared.
pub type BodyPieces = [Bytes; 3];

/// How long the end of an answer is, but for times that are not ours: bytes that fill their vector are shared as
/// they are, others ask for memory once more.
const SERVER_TIME_LEN: usize = r#","server_time_ms":1735689600000}"#.len();

/// A session's answer.
pub fn session(body: StateBody, now: Timestamp) -> BodyPieces {
    let mut tail = Vec::with_capacity(SERVER_TIME_LEN);
    write_server_time(&mut tail, now);
    let [head, body] = body.behind(br#"{"data":{"#);
    [head, body, tail.into()]
}

/// A switch's answer.
pub fn switched(session: &Session, encoded: &Encoded, outcome: Outcome, now: Timestamp) -> BodyPieces {
    let mut out = Vec::with_capacity(380);
    out.raw(r#"{"data":{"session_id":"#);
    out.uuid(session.id.0);
    out.raw(r#","active_participant_id":"#);
    out.uuid_or_null(session.active().map(|active| active.id.0));
    out.raw(r#","cycle_started_at":"#);
    out.instant_or_null(session.cycle_started_at());
    out.raw(r#","participants":"#);
    let head_len = out.len();
    out.raw(r#","status":""#);
    out.raw(session.status.name());
    out.raw("\"");
    if let Some(participant) = outcome.expired {
        out.raw(r#","expired_participant_id":"#);
        out.uuid(participant.0);
    }
    if outcome.late {
        out.raw(r#","late":true"#);
    }
    out.raw(r#","version":"#);
    out.number(session.version);
    out.raw("}");
    write_server_time(&mut out, now);
    let mut head = Bytes::from(out);
    let tail = head.split_off(head_len);
    [head, encoded.participants(), tail]
}

fn write_server_time(out: &mut Vec<u8>, now: Timestamp) {
    out.raw(r#","server_time_ms":"#);
    out.number(now.as_ms());
    out.raw("}");
}

/// The server clock's time.
pub fn time(now: Timestamp) -> Bytes {
    #[derive(Serialize)]
    struct ServerTime {
        timestamp_ms: u64,
        server_version: &'static str,
        drift_tolerance_ms: u32,
    }
    let server_version = env!("CARGO_PKG_VERSION");
    json(&ServerTime { timestamp_ms: now.as_ms(), server_version, drift_tolerance_ms: 50 })
}

/// The server can serve.
pub fn ready() -> Bytes {
    Bytes::from_static(br#"{"status":"ready"}"#)
}

/// The server can serve, although not everything is as it should be: which component says what.
pub fn degraded(causes: &[(&str, String)]) -> Bytes {
    status("degraded", causes)
}

/// The server cannot serve: which component says what.
pub fn not_ready(causes: &[(&str, String)]) -> Bytes {
    status("not_ready", causes)
}

/// Whether the server serves, for those who are not told why.
pub fn status_only(status: &str, error: &str) -> Bytes {
    format!(r#"{{"status":"{status}","error":"{error}","causes":[]}}"#).into()
}

fn status(status: &str, causes: &[(&str, String)]) -> Bytes {
    #[derive(Serialize)]
    struct Status<'c> {
        status: &'c str,
        error: String,
        causes: Vec<Cause<'c>>,
    }
    #[derive(Serialize)]
    struct Cause<'c> {
        component: &'c str,
        error: &'c str,
    }
    let causes: Vec<_> = causes.iter().map(|(component, error)| Cause { component, error }).collect();
    let error = causes.iter().map(|cause| cause.error).collect::<Vec<_>>().join("; ");
    json(&Status { status, error, causes })
}

/// The details of an error beside its code and message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// Nothing.
    #[default]
    None,
    /// What is wrong with a request.
    FieldProblems(Vec<FieldProblem>),
    /// What version a session has, and which one the caller expected.
    Versions {
        /// The version that it has.
        actual: u64,
        /// The version that the caller named.
        expected: Option<u64>,
    },
    /// When to come back, in seconds.
    RetryAfter(u32),
    /// The permission that is missing.
    Needs(&'static str),
}

/// An error as the member of an answer or of a message.
pub fn error(code: &str, message: &str, details: &Details) -> Bytes {
    #[derive(Serialize)]
    struct ErrorBody<'e> {
        code: &'e str,
        message: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<ErrorDetails<'e>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum ErrorDetails<'e> {
        FieldProblems(&'e [FieldProblem]),
        Versions {
            actual_version: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            expected_version: Option<u64>,
        },
        Needs {
            needs: &'static str,
        },
    }
    let (details, retry_after_seconds) = match details {
        Details::None => (None, None),
        Details::FieldProblems(problems) => (Some(ErrorDetails::FieldProblems(problems)), None),
        Details::Versions { actual, expected } => {
            (Some(ErrorDetails::Versions { actual_version: *actual, expected_version: *expected }), None)
        }
        Details::RetryAfter(seconds) => (None, Some(*seconds)),
        Details::Needs(needs) => (Some(ErrorDetails::Needs { needs }), None),
    };
    json(&ErrorBody { code, message, details, retry_after_seconds })
}

/// An error as the whole answer.
pub fn http_error(error: Bytes) -> BodyPieces {
    [Bytes::from_static(br#"{"error":"#), error, Bytes::from_static(b"}")]
}
