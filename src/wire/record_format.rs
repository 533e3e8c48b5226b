//! A state as a store of bytes keeps it: one JSON object whose first member is the store's own, of fixed
//! form, and whose rest is the state. So a reader finds the deadline and the state without parsing, and
//! what clients get is `{` and the bytes behind the first member. Does not know where it is stored.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

use crate::engine::{SessionId, StateTag, Timestamp, Uuid};

use super::scan::Scan;
use super::state_body::StateBody;
use super::write::Write;

/// How many events a stored state remembers, whatever they are.
pub const EVENTS_MAX: usize = 8;
/// How many it remembers with those that their senders named by keys: all of the latest so many are among them. A server of
/// before reads them too, and keeps the latest.
pub const KEYED_EVENTS_MAX: usize = 16;

/// The store's own member: `"_":[deadline_ms,changed_us,"run_id",[epoch,version],["event id"]],`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// When the running clock flags.
    pub deadline: Option<Timestamp>,
    /// When the state was committed, in microseconds since the Unix epoch: not before.
    pub changed_us: u64,
    /// The run of the store's server under which it was written.
    pub run_id: Arc<str>,
    /// The state that its epoch began on: whatever came after that one in an earlier epoch is lost. Of a session that
    /// did not exist the epoch is 0, and the version one less than its first.
    pub base: StateTag,
    /// The events that made the latest changes.
    pub events: EventIds,
}

/// The latest events, oldest first, and before them those that have keys: a full list drops the oldest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventIds(SmallVec<[Uuid; EVENTS_MAX]>);

impl EventIds {
    /// One more.
    pub fn push(&mut self, event: Uuid) {
        // Those that have no key are remembered as long as they are among the latest.
        let dropped = match self.0.len().checked_sub(EVENTS_MAX) {
            Some(oldest) if !is_keyed(self.0[oldest]) => Some(oldest),
            Some(_) if self.0.len() == KEYED_EVENTS_MAX => Some(0),
            Some(_) | None => None,
        };
        if let Some(dropped) = dropped {
            self.0.remove(dropped);
        }
        self.0.push(event);
    }

    /// The latest, of which none is missing.
    pub fn latest(&self) -> &[Uuid] {
        &self[self.len().saturating_sub(EVENTS_MAX)..]
    }

    /// Those that have keys; `None` when there are none.
    pub fn keyed(&self) -> Option<Box<Self>> {
        let mut keyed = Self::default();
        self.iter().copied().filter(|event| is_keyed(*event)).for_each(|event| keyed.push(event));
        (!keyed.is_empty()).then(|| Box::new(keyed))
    }
}

impl Deref for EventIds {
    type Target = [Uuid];

    fn deref(&self) -> &[Uuid] {
        &self.0
    }
}

/// Whether an event's id was made of its sender's key: it is of version 8 (RFC 9562, section 5.8), all others are of
/// version 7.
pub fn is_keyed(event: Uuid) -> bool {
    event.bits() >> 76 & 0xf == 8
}

/// What follows the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordBody {
    /// A state.
    State(StateTag, StateBody),
    /// The session was deleted: the tag of the deletion among its states.
    Tombstone(StateTag),
}

/// Bytes that are none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARecord;

const OPENING: &[u8] = br#"{"_":"#;
const DELETED: &[u8] = br#""deleted":{"epoch":"#;

/// Writes what precedes a stored state: its body follows ([`StateBody::write_members`]).
pub fn encode_header(out: &mut Vec<u8>, header: &RecordHeader) {
    out.extend_from_slice(OPENING);
    out.raw("[");
    match header.deadline {
        Some(deadline) => out.number(deadline.as_ms()),
        None => out.raw("null"),
    }
    out.raw(",");
    out.number(header.changed_us);
    out.raw(",\"");
    out.raw(&header.run_id);
    out.raw("\",[");
    out.number(header.base.epoch);
    out.raw(",");
    out.number(header.base.version);
    out.raw("],[");
    for (position, event) in header.events.iter().enumerate() {
        if position > 0 {
            out.raw(",");
        }
        out.uuid(*event);
    }
    out.raw("]],");
}

/// A tombstone as it is stored.
pub fn encode_tombstone(out: &mut Vec<u8>, header: &RecordHeader, tag: StateTag) {
    encode_header(out, header);
    out.extend_from_slice(DELETED);
    out.number(tag.epoch);
    out.raw(r#","version":"#);
    out.number(tag.version);
    out.raw("}}");
}

/// Whether bytes of any origin are the record of a session, as far as a reader that only hands them on must know: text,
/// JSON from the first byte to the last, and the session's state or its deletion.
pub fn check_record(value: &Bytes, id: SessionId) -> Result<(), String> {
    let json = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())
    };
    json(value)?;
    const FOREIGN: &str = "it does not begin with the member of the store's own";
    json(header_json(value).map_err(|NotARecord| FOREIGN)?)?;
    let (_, body) = peek(value).map_err(|NotARecord| FOREIGN)?;
    match body {
        RecordBody::State(_, state) => {
            let mut scan = Scan(&state);
            let name = scan.literal(br#""session_id":"#).and_then(|()| scan.uuid());
            if name == Some(id.0) { Ok(()) } else { Err("it is the state of another session".to_owned()) }
        }
        RecordBody::Tombstone(_) => Ok(()),
    }
}

/// The body of a record and its deadline, without looking at anything else.
pub fn peek(value: &Bytes) -> Result<(Option<Timestamp>, RecordBody), NotARecord> {
    let header = header_json(value)?;
    let mut scan = Scan(header.strip_prefix(b"[").ok_or(NotARecord)?);
    let deadline = match scan.literal(b"null,") {
        Some(()) => None,
        None => Some(Timestamp::from_ms(scan.number().ok_or(NotARecord)?)),
    };
    let members = value.slice(OPENING.len() + header.len() + 1..);
    Ok((deadline, body(members).ok_or(NotARecord)?))
}

/// When a record was written, at the earliest.
pub fn written_at(value: &Bytes) -> Option<Timestamp> {
    let mut scan = Scan(header_json(value).ok()?);
    scan.find(b",")?;
    Some(Timestamp::from_ms(scan.number()? / 1_000))
}

/// The whole header.
pub fn read_header(value: &Bytes) -> Result<RecordHeader, NotARecord> {
    #[derive(Deserialize)]
    struct HeaderJson<'a>(Option<u64>, u64, &'a str, (u64, u64), Vec<&'a str>);
    let written = std::str::from_utf8(header_json(value)?).map_err(|_| NotARecord)?;
    let HeaderJson(deadline, changed_us, run_id, (epoch, version), events) =
        serde_json::from_str(written).map_err(|_| NotARecord)?;
    let mut header = RecordHeader {
        deadline: deadline.map(Timestamp::from_ms),
        changed_us,
        run_id: run_id.into(),
        base: StateTag { epoch, version },
        events: EventIds::default(),
    };
    for event in events {
        header.events.push(Uuid::parse(event).ok_or(NotARecord)?);
    }
    Ok(header)
}

/// The header's array. Nothing in it has brackets but what it is based on, and the events.
fn header_json(value: &[u8]) -> Result<&[u8], NotARecord> {
    let header = value.strip_prefix(OPENING).ok_or(NotARecord)?;
    let base = memchr::memchr(b']', header).ok_or(NotARecord)? + 1;
    let events = base + memchr::memchr(b']', &header[base..]).ok_or(NotARecord)? + 1;
    match header[events..].starts_with(b"],") {
        true => Ok(&header[..=events]),
        false => Err(NotARecord),
    }
}

fn body(members: Bytes) -> Option<RecordBody> {
    let mut scan = Scan(&members);
    if let Some(()) = scan.literal(DELETED) {
        let epoch = scan.number()?;
        scan.literal(br#","version":"#)?;
        let tag = StateTag { epoch, version: scan.number()? };
        return (scan.0 == b"}}").then_some(RecordBody::Tombstone(tag));
    }
    // They come near the beginning, before anything that a client wrote.
    scan.find(br#""version":"#)?;
    let version = scan.number()?;
    scan.literal(br#","epoch":"#)?;
    let tag = StateTag { epoch: scan.number()?, version };
    Some(RecordBody::State(tag, StateBody::of_members(members)))
}
