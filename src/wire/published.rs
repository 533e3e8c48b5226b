//! What is published to other instances and backends, in the public envelopes. Does not know the channels.

use bytes::Bytes;

use crate::engine::{SessionId, StateTag, Timestamp};

use super::write::Write;

/// A message as others were told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The state `tag` in its STATE_UPDATE.
    State(StateTag, Bytes),
    /// The deletion `tag` in its SESSION_DELETED.
    Deleted(StateTag, Bytes),
    /// Anything else, ours or somebody's own.
    Notice(Bytes),
}

/// A message to a session's clients, with what it says of the session's state first.
pub fn publish(tag: StateTag, id: SessionId, message: &[u8], now: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 140);
    out.raw(r#"{"epoch":"#);
    out.number(tag.epoch);
    out.raw(r#","version":"#);
    out.number(tag.version);
    out.raw(r#","sessionId":"#);
    out.uuid(id.0);
    out.raw(MESSAGE);
    out.extend_from_slice(message);
    out.raw(r#","timestamp":"#);
    out.number(now.as_ms());
    out.raw("}");
    out
}

/// A change for whoever listens to all of them; `members` is the state without its opening brace.
pub fn publish_update(id: SessionId, members: &[u8], now: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(members.len() + members.len() / 4 + 100);
    out.raw(r#"{"sessionId":"#);
    out.uuid(id.0);
    out.raw(r#","state":"{"#);
    for &byte in members {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
    out.raw(r#"","timestamp":"#);
    out.number(now.as_ms());
    out.raw("}");
    out
}

/// A deletion for whoever listens to all changes.
pub fn publish_deleted(id: SessionId, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(100);
    out.raw(r#"{"sessionId":"#);
    out.uuid(id.0);
    out.raw(r#","deleted":true,"timestamp":"#);
    out.number(now.as_ms());
    out.raw("}");
    out
}

const MESSAGE: &str = r#","message":"#;

/// Reads an envelope; `None` when it is none. Ours begin with the state's tag; the message is not copied.
pub fn heard(envelope: &Bytes) -> Option<Heard> {
    let Some(rest) = envelope.strip_prefix(br#"{"epoch":"#) else { return foreign(envelope) };
    let (epoch, rest) = number(rest)?;
    let (version, rest) = number(rest.strip_prefix(br#","version":"#)?)?;
    let rest = rest.strip_prefix(br#","sessionId":""#)?.get(36..)?.strip_prefix(b"\"")?;
    let rest = rest.strip_prefix(MESSAGE.as_bytes())?;
    let end = rest.windows(13).rposition(|window| window == br#","timestamp":"#)?;
    let message = envelope.slice_ref(&rest[..end]);
    let tag = StateTag { epoch, version };
    Some(if message.starts_with(br#"{"type":"STATE_UPDATE""#) {
        Heard::State(tag, message)
    } else if message.starts_with(br#"{"type":"SESSION_DELETED""#) {
        Heard::Deleted(tag, message)
    } else {
        Heard::Notice(message)
    })
}

/// When one of our messages was published.
pub fn published_at(envelope: &[u8]) -> Option<Timestamp> {
    if !envelope.starts_with(br#"{"epoch":"#) {
        return None;
    }
    let digits = envelope.strip_suffix(b"}")?;
    let start = digits.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    Some(Timestamp::from_ms(number(&digits[start..])?.0))
}

/// Somebody's own message: whatever they wrote, verbatim.
fn foreign(envelope: &Bytes) -> Option<Heard> {
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        message: &'a serde_json::value::RawValue,
    }
    let envelope_json: Envelope<'_> = serde_json::from_slice(envelope).ok()?;
    Some(Heard::Notice(envelope.slice_ref(envelope_json.message.get().as_bytes())))
}

fn number(json: &[u8]) -> Option<(u64, &[u8])> {
    let len = json.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&json[..len]).ok()?.parse().ok()?;
    Some((number, &json[len..]))
}
