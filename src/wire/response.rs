//! What REST clients get: answers around a state's shared bytes, and errors. Does not know status codes.

use bytes::Bytes;

use crate::engine::{Outcome, Session, Timestamp};

use super::state::Encoded;
use super::validation::FieldProblem;
use super::write::Write;

/// JSON in up to three pieces, the middle one shared with whoever else has it.
pub type BodyPieces = [Bytes; 3];

/// How long the end of an answer is, but for times that are not ours: bytes that fill their vector are shared as
/// they are, others ask for memory once more.
const SERVER_TIME_LEN: usize = r#","server_time_ms":1735689600000}"#.len();

/// A session's answer; `members` is the state without its opening brace.
pub fn session(members: Bytes, now: Timestamp) -> BodyPieces {
    let mut tail = Vec::with_capacity(SERVER_TIME_LEN);
    write_server_time(&mut tail, now);
    [Bytes::from_static(br#"{"data":{"#), members, tail.into()]
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

/// The authority's time.
pub fn time(now: Timestamp) -> Bytes {
    let mut out = Vec::with_capacity(96);
    out.raw(r#"{"timestamp_ms":"#);
    out.number(now.as_ms());
    out.raw(r#","server_version":""#);
    out.raw(env!("CARGO_PKG_VERSION"));
    out.raw(r#"","drift_tolerance_ms":50}"#);
    out.into()
}

/// The server can serve.
pub fn ready() -> Bytes {
    Bytes::from_static(br#"{"status":"ready"}"#)
}

/// The server can serve, although not everything is as it should be: which part says what.
pub fn degraded(causes: &[(&str, String)]) -> Bytes {
    status("degraded", causes)
}

/// The server cannot serve: which part says what.
pub fn not_ready(causes: &[(&str, String)]) -> Bytes {
    status("not_ready", causes)
}

fn status(status: &str, causes: &[(&str, String)]) -> Bytes {
    let mut out = Vec::new();
    out.raw(r#"{"status":""#);
    out.raw(status);
    out.raw(r#"","error":"#);
    out.string(&causes.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; "));
    out.raw(r#","causes":["#);
    for (place, (component, why)) in causes.iter().enumerate() {
        out.raw(if place == 0 { r#"{"component":"# } else { r#",{"component":"# });
        out.string(component);
        out.raw(r#","error":"#);
        out.string(why);
        out.raw("}");
    }
    out.raw("]}");
    out.into()
}

/// What an error tells beside its code and message.
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
}

/// An error as the member of an answer or of a message.
pub fn error(code: &str, message: &str, details: &Details) -> Bytes {
    let mut out = Vec::with_capacity(128);
    out.raw(r#"{"code":""#);
    out.raw(code);
    out.raw(r#"","message":"#);
    out.string(message);
    match details {
        Details::None => {}
        Details::FieldProblems(problems) => write_problems(&mut out, problems),
        Details::Versions { actual, expected } => {
            out.raw(r#","details":{"actual_version":"#);
            out.number(*actual);
            if let Some(expected) = expected {
                out.raw(r#","expected_version":"#);
                out.number(*expected);
            }
            out.raw("}");
        }
        Details::RetryAfter(seconds) => {
            out.raw(r#","retry_after_seconds":"#);
            out.number(u64::from(*seconds));
        }
    }
    out.raw("}");
    out.into()
}

/// An error as the whole answer.
pub fn http_error(error: Bytes) -> BodyPieces {
    [Bytes::from_static(br#"{"error":"#), error, Bytes::from_static(b"}")]
}

fn write_problems(out: &mut Vec<u8>, problems: &[FieldProblem]) {
    out.raw(r#","details":["#);
    for (place, problem) in problems.iter().enumerate() {
        out.raw(if place == 0 { r#"{"field":"# } else { r#",{"field":"# });
        out.string(&problem.field);
        out.raw(r#","message":"#);
        out.string(&problem.message);
        out.raw(r#","code":""#);
        out.raw(problem.code.name());
        out.raw(r#""}"#);
    }
    out.raw("]");
}
