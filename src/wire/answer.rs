//! What REST clients get: answers around a state's shared bytes, and errors. Does not know status codes.

use bytes::Bytes;

use crate::engine::{Outcome, Session, Timestamp};

use super::problems::Problem;
use super::state::Encoded;
use super::write::Write;

/// JSON in up to three pieces, the middle one shared with whoever else has it.
pub type Text = [Bytes; 3];

/// A session's answer; `members` is the state without its opening brace.
pub fn session(members: Bytes, now: Timestamp) -> Text {
    let mut tail = Vec::with_capacity(40);
    write_server_time(&mut tail, now);
    [Bytes::from_static(br#"{"data":{"#), members, tail.into()]
}

/// A switch's answer.
pub fn switched(session: &Session, encoded: &Encoded, outcome: Outcome, now: Timestamp) -> Text {
    let mut head = Vec::with_capacity(220);
    head.raw(r#"{"data":{"session_id":"#);
    head.uuid(session.id.0);
    head.raw(r#","active_participant_id":"#);
    head.uuid_or_null(session.active().map(|active| active.id.0));
    head.raw(r#","cycle_started_at":"#);
    head.instant_or_null(session.cycle_started_at());
    head.raw(r#","participants":"#);
    let mut tail = Vec::with_capacity(160);
    tail.raw(r#","status":""#);
    tail.raw(session.status.name());
    tail.raw("\"");
    if let Some(participant) = outcome.expired {
        tail.raw(r#","expired_participant_id":"#);
        tail.uuid(participant.0);
    }
    tail.raw(r#","version":"#);
    tail.number(session.version);
    tail.raw("}");
    write_server_time(&mut tail, now);
    [head.into(), encoded.participants(), tail.into()]
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

/// The server can serve, although perhaps not everything is as it should be.
pub fn ready(degraded: Option<&str>) -> Bytes {
    match degraded {
        Some(why) => status("degraded", why),
        None => Bytes::from_static(br#"{"status":"ready"}"#),
    }
}

/// The server cannot serve, and what is missing.
pub fn not_ready(missing: &str) -> Bytes {
    status("not_ready", missing)
}

fn status(status: &str, why: &str) -> Bytes {
    let mut out = Vec::new();
    out.raw(r#"{"status":""#);
    out.raw(status);
    out.raw(r#"","error":"#);
    out.string(why);
    out.raw("}");
    out.into()
}

/// What an error tells beside its code and message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// Nothing.
    #[default]
    None,
    /// What is wrong with a request.
    Problems(Vec<Problem>),
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
        Details::Problems(problems) => write_problems(&mut out, problems),
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
pub fn http_error(error: Bytes) -> Text {
    [Bytes::from_static(br#"{"error":"#), error, Bytes::from_static(b"}")]
}

fn write_problems(out: &mut Vec<u8>, problems: &[Problem]) {
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
