//! The messages to WebSocket clients, but for the STATE_UPDATE, which a state carries with it. Does not know which clients
//! are connected.

use bytes::Bytes;
use serde::Serialize;

use crate::engine::{Event, Millis, ParticipantId, SessionId, Timestamp, Warning};

use super::response::BodyPieces;
use super::state_body::StateBody;
use super::write::{Write, json};

/// The first message; to a client whose token ends, with when it does.
pub fn connected(id: SessionId, expires_at: Option<Timestamp>, now: Timestamp) -> Bytes {
    let mut message = about("CONNECTED", id, now);
    message.expires_at(expires_at);
    message.finish()
}

/// The client is who it says, until its token ends.
pub fn authenticated(expires_at: Option<Timestamp>, now: Timestamp) -> Bytes {
    of_token("AUTHENTICATED", expires_at, now)
}

/// The client's token ends soon.
pub fn token_expiring(expires_at: Option<Timestamp>, now: Timestamp) -> Bytes {
    of_token("TOKEN_EXPIRING", expires_at, now)
}

fn of_token(kind: &str, expires_at: Option<Timestamp>, now: Timestamp) -> Bytes {
    let mut message = Message::new(kind);
    message.expires_at(expires_at);
    message.timestamp(now);
    message.finish()
}

/// The state, on request.
pub fn sync(id: SessionId, body: &StateBody, now: Timestamp) -> Bytes {
    state_message("STATE_SYNC", id, body, now)
}

/// The state, when it is news although it was encoded elsewhere.
pub fn update(id: SessionId, body: &StateBody, now: Timestamp) -> Bytes {
    state_message("STATE_UPDATE", id, body, now)
}

/// How every STATE_UPDATE begins.
const UPDATE: &str = r#"{"type":"STATE_UPDATE""#;

/// How a STATE_UPDATE begins that takes the place of `skipped` others, which its client is not sent, and how many bytes of
/// `update` that replaces.
pub fn skipping(update: &[u8], skipped: u64) -> (Vec<u8>, usize) {
    debug_assert!(update.starts_with(UPDATE.as_bytes()), "this is no STATE_UPDATE");
    let mut head = Vec::with_capacity(UPDATE.len() + 32);
    head.raw(UPDATE);
    head.raw(r#","skipped":"#);
    head.number(skipped);
    (head, UPDATE.len())
}

fn state_message(kind: &str, id: SessionId, body: &StateBody, now: Timestamp) -> Bytes {
    let mut message = about(kind, id, now);
    message.0.raw(r#","state":"#);
    body.write_object(&mut message.0);
    message.finish()
}

/// The session was deleted.
pub fn deleted(id: SessionId, now: Timestamp) -> Bytes {
    about("SESSION_DELETED", id, now).finish()
}

/// The session was removed because it was not written for its lifetime.
pub fn lapsed(id: SessionId, now: Timestamp) -> Bytes {
    let mut message = about("SESSION_DELETED", id, now);
    message.0.raw(r#","reason":"lapsed""#);
    message.finish()
}

/// The running clock fell to a threshold.
pub fn warning(id: SessionId, warning: &Warning, remaining: Millis, now: Timestamp) -> Bytes {
    let mut message = about("TIME_WARNING", id, now);
    message.participant("participant_id", warning.participant);
    message.0.raw(r#","time_remaining_ms":"#);
    message.0.millis(remaining);
    message.0.raw(r#","threshold_ms":"#);
    message.0.millis(warning.threshold);
    message.finish()
}

/// A clock ran out: a message for each event that says so.
pub fn expired(id: SessionId, events: &[Event], now: Timestamp) -> Vec<Bytes> {
    let flags = events.iter().filter_map(|event| match event {
        Event::ParticipantExpired { participant, at } => Some((*participant, *at)),
        Event::Created
        | Event::Started { .. }
        | Event::Switched { .. }
        | Event::Paused
        | Event::Resumed
        | Event::RoundsExpired { .. }
        | Event::ParticipantRevived { .. }
        | Event::SessionExpired { .. }
        | Event::Completed
        | Event::Cancelled
        | Event::Updated
        | Event::Deleted
        | Event::Recovered => None,
    });
    flags
        .map(|(participant, at)| {
            let mut message = about("TIME_EXPIRED", id, now);
            message.participant("expired_participant_id", participant);
            message.0.raw(r#","expired_at":"#);
            message.0.instant(at);
            message.finish()
        })
        .collect()
}

/// The answer to a PING; what the client said of its own clock comes back as it was.
pub fn pong(client_timestamp: Option<&str>, received_at: Timestamp, now: Timestamp) -> Bytes {
    let mut message = Message::new("PONG");
    message.timestamp(now);
    if let Some(client_timestamp) = client_timestamp {
        message.0.raw(r#","client_timestamp":"#);
        message.0.raw(client_timestamp);
        message.0.raw(r#","received_at":"#);
        message.0.number(received_at.as_ms());
    }
    message.finish()
}

/// The answer to a command that was carried out, perhaps before: REST's answer, without its outer braces, is part of it.
pub fn result_data(request_id: &str, status: u16, is_replayed: bool, answer: &BodyPieces) -> Bytes {
    let mut message = Message::result(request_id, status, is_replayed);
    message.0.raw(",");
    message.0.extend_from_slice(&answer[0][1..]);
    message.0.extend_from_slice(&answer[1]);
    message.0.extend_from_slice(&answer[2]);
    message.0.into()
}

/// The answer to a command that was not carried out.
pub fn result_error(request_id: &str, status: u16, is_replayed: bool, error: &[u8], now: Timestamp) -> Bytes {
    let mut message = Message::result(request_id, status, is_replayed);
    message.0.raw(r#","error":"#);
    message.0.extend_from_slice(error);
    message.0.raw(r#","server_time_ms":"#);
    message.0.number(now.as_ms());
    message.finish()
}

/// The message was not understood.
pub fn invalid_message(why: &str) -> Bytes {
    message_error("INVALID_MESSAGE", why)
}

/// An error that belongs to no named request.
pub fn message_error(code: &str, text: &str) -> Bytes {
    #[derive(Serialize)]
    struct ErrorMessage<'e> {
        r#type: &'static str,
        code: &'e str,
        message: &'e str,
    }
    json(&ErrorMessage { r#type: "ERROR", code, message: text })
}

fn about(kind: &str, id: SessionId, now: Timestamp) -> Message {
    let mut message = Message::new(kind);
    message.0.raw(r#","sessionId":"#);
    message.0.uuid(id.0);
    message.timestamp(now);
    message
}

struct Message(Vec<u8>);

impl Message {
    fn new(kind: &str) -> Self {
        let mut out = Vec::with_capacity(160);
        out.raw(r#"{"type":""#);
        out.raw(kind);
        out.raw("\"");
        Self(out)
    }

    fn result(request_id: &str, status: u16, is_replayed: bool) -> Self {
        let mut message = Self::new("RESULT");
        message.0.raw(r#","request_id":"#);
        message.0.string(request_id);
        message.0.raw(r#","status":"#);
        message.0.number(u64::from(status));
        if is_replayed {
            message.0.raw(r#","replayed":true"#);
        }
        message
    }

    fn timestamp(&mut self, now: Timestamp) {
        self.0.raw(r#","timestamp":"#);
        self.0.number(now.as_ms());
    }

    fn expires_at(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.0.raw(r#","expires_at":"#);
            self.0.instant(at);
        }
    }

    fn participant(&mut self, name: &str, id: ParticipantId) {
        self.0.raw(",\"");
        self.0.raw(name);
        self.0.raw("\":");
        self.0.uuid(id.0);
    }

    fn finish(mut self) -> Bytes {
        self.0.raw("}");
        self.0.into()
    }
}
