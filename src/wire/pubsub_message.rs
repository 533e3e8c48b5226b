//! What is published to other instances and backends, in the public envelopes. Does not know the channels.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::engine::{SessionId, StateTag, Status, Timestamp};

use super::instant;
use super::scan::Scan;
use super::state_body::StateBody;
use super::write::Write;

/// A message that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PubSubMessage {
    /// The state `tag` in its STATE_UPDATE.
    State(StateTag, Bytes),
    /// The deletion `tag` in its SESSION_DELETED.
    Deleted(StateTag, Bytes),
    /// Anything else: ours about the state `tag`, or another publisher's.
    Notice(Option<StateTag>, Bytes),
}

/// A message to a session's clients, with what it says of the session's state first.
pub fn publish(out: &mut Vec<u8>, tag: StateTag, id: SessionId, message: &[u8], now: Timestamp) {
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
}

/// A change for the subscribers of all changes.
pub fn publish_update(out: &mut Vec<u8>, id: SessionId, body: &StateBody, now: Timestamp) {
    out.raw(r#"{"sessionId":"#);
    out.uuid(id.0);
    out.raw(r#","state":""#);
    body.write_escaped(out);
    out.raw(r#"","timestamp":"#);
    out.number(now.as_ms());
    out.raw("}");
}

/// A deletion for the subscribers of all changes.
pub fn publish_deleted(out: &mut Vec<u8>, id: SessionId, now: Timestamp) {
    out.raw(r#"{"sessionId":"#);
    out.uuid(id.0);
    out.raw(r#","deleted":true,"timestamp":"#);
    out.number(now.as_ms());
    out.raw("}");
}

const MESSAGE: &str = r#","message":"#;

/// Reads an envelope on a session's channel; `None` when it is none, since any client of Redis may publish there: a message
/// is a JSON object, and of that session if it says of which. Ours begin with the state's tag; the message is not copied.
pub fn read_pubsub_message(envelope: &Bytes, id: SessionId) -> Option<PubSubMessage> {
    let mut scan = Scan(envelope);
    let Some(()) = scan.literal(br#"{"epoch":"#) else { return foreign(envelope, id) };
    let epoch = scan.number()?;
    scan.literal(br#","version":"#)?;
    let version = scan.number()?;
    scan.literal(br#","sessionId":"#)?;
    scan.uuid().filter(|named| *named == id.0)?;
    scan.literal(MESSAGE.as_bytes())?;
    let Scan(rest) = scan;
    let end = rest.windows(13).rposition(|window| window == br#","timestamp":"#)?;
    let mut tail = Scan(&rest[end + 13..]);
    tail.number()?;
    if tail.0 != b"}" || !is_object(&rest[..end]) {
        return None;
    }
    let message = envelope.slice_ref(&rest[..end]);
    let tag = StateTag { epoch, version };
    Some(if message.starts_with(br#"{"type":"STATE_UPDATE""#) {
        PubSubMessage::State(tag, message)
    } else if message.starts_with(br#"{"type":"SESSION_DELETED""#) {
        PubSubMessage::Deleted(tag, message)
    } else {
        PubSubMessage::Notice(Some(tag), message)
    })
}

/// When one of our messages was published.
pub fn published_at(envelope: &[u8]) -> Option<Timestamp> {
    if !envelope.starts_with(br#"{"epoch":"#) {
        return None;
    }
    let digits = envelope.strip_suffix(b"}")?;
    let start = digits.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    Scan(&digits[start..]).number().map(Timestamp::from_ms)
}

/// Another publisher's message, verbatim.
fn foreign(envelope: &Bytes, id: SessionId) -> Option<PubSubMessage> {
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        message: &'a RawValue,
        #[serde(rename = "sessionId", borrow)]
        session: Option<&'a RawValue>,
    }
    let text = std::str::from_utf8(envelope).ok()?;
    let read: Envelope<'_> = serde_json::from_str(text).ok()?;
    let named = read.session.map(|session| Scan(session.get().as_bytes()).uuid());
    let is_ours = named.is_none_or(|named| named == Some(id.0));
    let message = read.message.get();
    (is_ours && message.starts_with('{')).then(|| PubSubMessage::Notice(None, envelope.slice_ref(message.as_bytes())))
}

/// Whether bytes are a JSON object from the first to the last.
fn is_object(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A session's status and deadline, which decide how long its state is stored.
pub type LifetimeBasis = (Status, Option<Timestamp>);

/// A session's status and deadline, found in the bytes of its state or of a message that carries it: both come before
/// anything that a client wrote.
pub fn lifetime_basis(state: &[u8]) -> Option<LifetimeBasis> {
    let mut scan = Scan(state);
    scan.find(br#""status":""#)?;
    let named =
        |status: &&Status| scan.0.strip_prefix(status.name().as_bytes()).is_some_and(|rest| rest.starts_with(b"\""));
    let status = *Status::ALL.iter().find(named)?;
    scan.find(br#""deadline_at":"#)?;
    if let Some(()) = scan.literal(b"null") {
        return Some((status, None));
    }
    scan.literal(b"\"")?;
    let deadline = std::str::from_utf8(scan.0.get(..instant::TEXT_LEN)?).ok()?;
    Some((status, Some(instant::parse(deadline)?)))
}

/// When a state last changed, found in the bytes of it or of a message that carries it: it is the last of its members.
pub fn changed_at(state: &[u8]) -> Option<Timestamp> {
    const NAME: &[u8] = br#""updated_at":""#;
    const LEN: usize = NAME.len() + instant::TEXT_LEN + r#""}}"#.len();
    let tail = &state[state.len().saturating_sub(LEN)..];
    let at = memchr::memmem::find(tail, NAME)? + NAME.len();
    std::str::from_utf8(tail.get(at..at + instant::TEXT_LEN)?).ok().and_then(instant::parse)
}
