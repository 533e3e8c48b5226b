//! A state as a store of bytes keeps it: one JSON object whose first member is the store's own, of fixed
//! form, and whose rest is the state. So a reader finds the deadline and the state without parsing, and
//! what clients get is `{` and the bytes behind the first member. Does not know where it is kept.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::engine::{SessionId, StateTag, Timestamp, Uuid};

use super::scan::Scan;
use super::write::Write;

/// How many events a stored state remembers.
pub const EVENTS_MAX: usize = 8;

/// The store's own member: `"_":[deadline_ms,changed_us,"run_id",[epoch,version],["event id"]],`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// When the running clock flags.
    pub deadline: Option<Timestamp>,
    /// When the state was committed, in microseconds since the Unix epoch: not before.
    pub changed_us: u64,
    /// The run of the store's server under which it was written.
    pub run_id: Arc<str>,
    /// The state that its epoch began on: whatever came after that one in an earlier epoch is lost. Of a session that
    /// was not there the epoch is 0, and the version one less than its first.
    pub base: StateTag,
    /// The events that made the latest changes.
    pub events: Events,
}

/// The latest events, oldest first: one more than there is room for takes the place of the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    all: [Uuid; EVENTS_MAX],
    len: usize,
}

impl Events {
    /// One more.
    pub fn push(&mut self, event: Uuid) {
        if self.len == EVENTS_MAX {
            self.all.rotate_left(1);
            self.len -= 1;
        }
        self.all[self.len] = event;
        self.len += 1;
    }
}

impl Deref for Events {
    type Target = [Uuid];

    fn deref(&self) -> &[Uuid] {
        &self.all[..self.len]
    }
}

/// What stands behind the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A state, without its opening brace.
    State(StateTag, Bytes),
    /// The session was deleted; what the deletion is called among its states.
    Tombstone(StateTag),
}

/// Bytes that are none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotStored;

const OPENING: &[u8] = br#"{"_":"#;
const DELETED: &[u8] = br#""deleted":{"epoch":"#;

/// What stands before a state as it is kept: behind it comes the state without its opening brace.
pub fn mark(out: &mut Vec<u8>, mark: &Mark) {
    out.extend_from_slice(OPENING);
    out.raw("[");
    match mark.deadline {
        Some(deadline) => out.number(deadline.as_ms()),
        None => out.raw("null"),
    }
    out.raw(",");
    out.number(mark.changed_us);
    out.raw(",\"");
    out.raw(&mark.run_id);
    out.raw("\",[");
    out.number(mark.base.epoch);
    out.raw(",");
    out.number(mark.base.version);
    out.raw("],[");
    for (place, event) in mark.events.iter().enumerate() {
        if place > 0 {
            out.raw(",");
        }
        out.uuid(*event);
    }
    out.raw("]],");
}

/// A tombstone as it is kept.
pub fn bury(out: &mut Vec<u8>, mark: &Mark, tag: StateTag) {
    self::mark(out, mark);
    out.extend_from_slice(DELETED);
    out.number(tag.epoch);
    out.raw(r#","version":"#);
    out.number(tag.version);
    out.raw("}}");
}

/// Whether bytes that anybody may have written are what is kept of a session, as far as whoever only hands them on must
/// know: text, JSON from the first byte to the last, and its state or its deletion.
pub fn check_stored(value: &Bytes, id: SessionId) -> Result<(), String> {
    let json = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())
    };
    json(value)?;
    const FOREIGN: &str = "it does not begin with the member of the store's own";
    json(mark_json(value).map_err(|NotStored| FOREIGN)?)?;
    let (_, kept) = glance(value).map_err(|NotStored| FOREIGN)?;
    match kept {
        Kept::State(_, members) => {
            let mut scan = Scan(&members);
            let name = scan.literal(br#""session_id":"#).and_then(|()| scan.uuid());
            if name == Some(id.0) { Ok(()) } else { Err("it is the state of another session".to_owned()) }
        }
        Kept::Tombstone(_) => Ok(()),
    }
}

/// What is kept and its deadline, without looking at anything else.
pub fn glance(value: &Bytes) -> Result<(Option<Timestamp>, Kept), NotStored> {
    let mark = mark_json(value)?;
    let mut scan = Scan(mark.strip_prefix(b"[").ok_or(NotStored)?);
    let deadline = match scan.literal(b"null,") {
        Some(()) => None,
        None => Some(Timestamp::from_ms(scan.number().ok_or(NotStored)?)),
    };
    let members = value.slice(OPENING.len() + mark.len() + 1..);
    Ok((deadline, kept(members).ok_or(NotStored)?))
}

/// When what is kept was written, and not before.
pub fn written_at(value: &Bytes) -> Option<Timestamp> {
    let mut scan = Scan(mark_json(value).ok()?);
    scan.find(b",")?;
    Some(Timestamp::from_ms(scan.number()? / 1_000))
}

/// The whole mark.
pub fn read_mark(value: &Bytes) -> Result<Mark, NotStored> {
    #[derive(Deserialize)]
    struct Written<'a>(Option<u64>, u64, &'a str, (u64, u64), Vec<&'a str>);
    let written = std::str::from_utf8(mark_json(value)?).map_err(|_| NotStored)?;
    let Written(deadline, changed_us, run_id, (epoch, version), events) =
        serde_json::from_str(written).map_err(|_| NotStored)?;
    let mut mark = Mark {
        deadline: deadline.map(Timestamp::from_ms),
        changed_us,
        run_id: run_id.into(),
        base: StateTag { epoch, version },
        events: Events::default(),
    };
    for event in events {
        mark.events.push(Uuid::parse(event).ok_or(NotStored)?);
    }
    Ok(mark)
}

/// The mark's array. Nothing in it has brackets but what it is based on, and the events.
fn mark_json(value: &[u8]) -> Result<&[u8], NotStored> {
    let mark = value.strip_prefix(OPENING).ok_or(NotStored)?;
    let base = memchr::memchr(b']', mark).ok_or(NotStored)? + 1;
    let events = base + memchr::memchr(b']', &mark[base..]).ok_or(NotStored)? + 1;
    match mark[events..].starts_with(b"],") {
        true => Ok(&mark[..=events]),
        false => Err(NotStored),
    }
}

fn kept(members: Bytes) -> Option<Kept> {
    let mut scan = Scan(&members);
    if let Some(()) = scan.literal(DELETED) {
        let epoch = scan.number()?;
        scan.literal(br#","version":"#)?;
        let tag = StateTag { epoch, version: scan.number()? };
        return (scan.0 == b"}}").then_some(Kept::Tombstone(tag));
    }
    // They stand near the beginning, before anything that a client wrote.
    scan.find(br#""version":"#)?;
    let version = scan.number()?;
    scan.literal(br#","epoch":"#)?;
    let tag = StateTag { epoch: scan.number()?, version };
    Some(Kept::State(tag, members))
}
