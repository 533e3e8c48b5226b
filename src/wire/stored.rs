//! A state as a store of bytes keeps it: one JSON object whose first member is the store's own, of fixed
//! form, and whose rest is the state. So a reader finds the deadline and the state without parsing, and
//! what clients get is `{` and the bytes behind the first member. Does not know where it is kept.

use bytes::Bytes;
use serde::Deserialize;

use crate::engine::{StateTag, Timestamp, Uuid};

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
    pub run_id: String,
    /// The state that its epoch began on: whatever came after that one in an earlier epoch is lost. Of a session that
    /// was not there the epoch is 0, and the version one less than its first.
    pub base: StateTag,
    /// The events that made the latest changes, oldest first.
    pub events: Vec<Uuid>,
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

/// A state as it is kept; `members` is the state without its opening brace.
pub fn keep(mark: &Mark, members: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + 40 * mark.events.len() + members.len());
    write_mark(&mut out, mark);
    out.extend_from_slice(members);
    out
}

/// A tombstone as it is kept.
pub fn bury(mark: &Mark, tag: StateTag) -> Vec<u8> {
    let mut out = Vec::with_capacity(200);
    write_mark(&mut out, mark);
    out.extend_from_slice(DELETED);
    out.number(tag.epoch);
    out.raw(r#","version":"#);
    out.number(tag.version);
    out.raw("}}");
    out
}

fn write_mark(out: &mut Vec<u8>, mark: &Mark) {
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

/// What is kept and its deadline, without looking at anything else.
pub fn glance(value: &Bytes) -> Result<(Option<Timestamp>, Kept), NotStored> {
    let mark = mark_json(value)?;
    let deadline = match mark.strip_prefix(b"[").ok_or(NotStored)? {
        rest if rest.starts_with(b"null,") => None,
        rest => Some(Timestamp::from_ms(digits(rest).ok_or(NotStored)?)),
    };
    Ok((deadline, kept(value, OPENING.len() + mark.len() + 1)?))
}

/// The whole mark.
pub fn mark(value: &Bytes) -> Result<Mark, NotStored> {
    #[derive(Deserialize)]
    struct Written<'a>(Option<u64>, u64, &'a str, (u64, u64), Vec<&'a str>);
    let Written(deadline, changed_us, run_id, (epoch, version), events) =
        serde_json::from_slice(mark_json(value)?).map_err(|_| NotStored)?;
    let events: Option<Vec<_>> = events.iter().map(|text| Uuid::parse(text)).collect();
    Ok(Mark {
        deadline: deadline.map(Timestamp::from_ms),
        changed_us,
        run_id: run_id.to_owned(),
        base: StateTag { epoch, version },
        events: events.ok_or(NotStored)?,
    })
}

/// The mark's array: it ends with the first `]]`, since nothing in it has brackets but itself.
fn mark_json(value: &[u8]) -> Result<&[u8], NotStored> {
    let mark = value.strip_prefix(OPENING).ok_or(NotStored)?;
    let end = mark.windows(3).position(|window| window == b"]],").ok_or(NotStored)? + 2;
    Ok(&mark[..end])
}

fn kept(value: &Bytes, start: usize) -> Result<Kept, NotStored> {
    let members = value.slice(start..);
    if let Some(epoch) = members.strip_prefix(DELETED) {
        return Ok(Kept::Tombstone(StateTag {
            epoch: digits(epoch).ok_or(NotStored)?,
            version: number(epoch, br#""version":"#)?,
        }));
    }
    // The version and the epoch stand near the beginning, before anything that a client wrote.
    let version = number(&members, br#""version":"#)?;
    let epoch = number(&members, br#""epoch":"#)?;
    Ok(Kept::State(StateTag { epoch, version }, members))
}

fn number(json: &[u8], name: &[u8]) -> Result<u64, NotStored> {
    let start = json.windows(name.len()).position(|window| window == name).ok_or(NotStored)? + name.len();
    digits(&json[start..]).ok_or(NotStored)
}

fn digits(json: &[u8]) -> Option<u64> {
    let digits: &[u8] = &json[..json.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(json.len())];
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
