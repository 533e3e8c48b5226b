//! Stored values of every format, read as format 1: a state of version 1 becomes one of ours, and the byte that names a
//! format is cut off. Does not know which server wrote them.
//!
//! | begins with | is |
//! |---|---|
//! | `{"_":` | format 1: the store's own member, then the state |
//! | 2 | format 2: that byte, then the same |
//! | another byte below 32 | a format of a newer server |
//! | `{"session_id":` | what version 1 left: the public state, without what came since |

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::engine::{
    Group, GroupId, Millis, Mode, OnTimeout, Participant, ParticipantId, Session, SessionId, Status, Timestamp, Turn,
    Uuid, defect, violation,
};

use super::decode::{Undecodable, decode_sound};
use super::instant;
use super::record_format::{RecordHeader, encode_header};
use super::state::encode;

/// What a state of version 1 begins with; ours begin with the store's own member.
const BEGINNING: &[u8] = br#"{"session_id":"#;

/// The formats that are read here.
pub const FORMATS: RangeInclusive<u8> = 1..=2;

/// What is stored, in format 1. Anything that is none of the above is left as it is.
pub fn modern(value: Bytes) -> Bytes {
    if value.first() == Some(&2) {
        return value.slice(1..);
    }
    if !value.starts_with(BEGINNING) {
        return value;
    }
    let Some(session) = read(&value) else { return value };
    let mut out = Vec::with_capacity(value.len() * 2);
    let changed_us = session.updated_at.as_ms() * 1_000;
    encode_header(&mut out, &RecordHeader { deadline: session.deadline(), changed_us, ..RecordHeader::default() });
    encode(&session, session.updated_at).body().write_members(&mut out);
    out.into()
}

/// Reads a state as the archive has it: ours, or one that version 1 left there.
pub fn decode_archived(state: &[u8]) -> Result<Session, Undecodable> {
    /// What only ours have.
    #[derive(Deserialize)]
    struct Own {
        epoch: Option<IgnoredAny>,
    }
    let is_old = serde_json::from_slice(state).is_ok_and(|Own { epoch }| epoch.is_none());
    let left = if is_old { read(state) } else { None };
    match left.filter(|session| defect(session).is_none()) {
        Some(session) => Ok(session),
        None => decode_sound(state),
    }
}

/// Whether a newer server wrote it.
pub fn is_newer(value: &[u8]) -> bool {
    value.first().is_some_and(|first| (3..32).contains(first) && !first.is_ascii_whitespace())
}

/// What stands before a stored value in a format.
pub fn begin(format: u8, out: &mut Vec<u8>) {
    if format > 1 {
        out.push(format);
    }
}

#[derive(Deserialize)]
struct StateJsonV1<'a> {
    session_id: &'a str,
    sync_mode: &'a str,
    status: &'a str,
    version: u64,
    #[serde(borrow)]
    participants: Vec<ParticipantJsonV1<'a>>,
    active_participant_id: Option<&'a str>,
    total_time_ms: u64,
    time_per_cycle_ms: Option<u64>,
    cycle_started_at: Option<&'a str>,
    session_started_at: Option<&'a str>,
    session_completed_at: Option<&'a str>,
    increment_ms: Option<u64>,
    max_time_ms: Option<u64>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    created_at: &'a str,
    updated_at: &'a str,
}

#[derive(Deserialize)]
struct ParticipantJsonV1<'a> {
    participant_id: &'a str,
    participant_index: u64,
    total_time_ms: u64,
    time_used_ms: u64,
    time_remaining_ms: u64,
    cycle_count: u64,
    #[serde(default)]
    has_expired: bool,
    group_id: Option<&'a str>,
}

fn read(value: &[u8]) -> Option<Session> {
    let written: StateJsonV1<'_> = serde_json::from_slice(value).ok()?;
    let session = session(&written)?;
    violation(&session).is_none().then_some(session)
}

fn session(written: &StateJsonV1<'_>) -> Option<Session> {
    let mode = Mode::ALL.into_iter().find(|mode| mode.name() == written.sync_mode)?;
    let status = Status::ALL.into_iter().find(|status| status.name() == written.status)?;
    let (created_at, updated_at) = (instant::parse(written.created_at)?, instant::parse(written.updated_at)?);
    let max_time = written.max_time_ms.map(Millis::new);
    let mut participants = Vec::with_capacity(written.participants.len());
    for member in &written.participants {
        participants.push(participant(mode, max_time, member)?);
    }
    let (clocks, groups) = clocks(mode, max_time, written, &mut participants)?;
    let turn = match status {
        Status::Running | Status::Paused => {
            let active = written.active_participant_id?;
            let participant = written.participants.iter().position(|member| member.participant_id == active)?;
            let since = instant(written.cycle_started_at)?.filter(|_| status == Status::Running);
            Some(Turn { participant, since })
        }
        Status::Pending | Status::Expired | Status::Completed | Status::Cancelled => None,
    };
    let started_at = instant(written.session_started_at)?;
    // Only `complete` said when.
    let completed_at = instant(written.session_completed_at)?.or(Some(updated_at)).filter(|_| status.is_final());
    let used = participants.iter().map(|participant| participant.used).sum();
    let total_time = match mode {
        Mode::Global => clocks.first().copied()? + used,
        Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::CountUp => Millis::new(written.total_time_ms),
    };
    Some(Session {
        id: SessionId(Uuid::parse(written.session_id)?),
        epoch: created_at.as_ms(),
        version: written.version.max(1),
        mode,
        status,
        on_timeout: OnTimeout::Expire,
        participants,
        groups: groups.into(),
        clocks,
        turn,
        total_time,
        time_per_cycle: written.time_per_cycle_ms.map(Millis::new),
        increment: Millis::new(written.increment_ms.unwrap_or_default()),
        max_time,
        warn_at: [].into(),
        metadata: written.metadata.map(|metadata| Arc::from(metadata.get())),
        created_at,
        updated_at: updated_at.max(started_at.unwrap_or_default()),
        started_at,
        completed_at,
        unattended_turns: 0,
    })
}

/// What was given at creation is not said: what is left and what was used of it come to the same, or more.
fn participant(mode: Mode, max_time: Option<Millis>, member: &ParticipantJsonV1<'_>) -> Option<Participant> {
    let (left, used) = (Millis::new(member.time_remaining_ms), Millis::new(member.time_used_ms));
    let initial_time = match mode {
        Mode::PerParticipant | Mode::PerGroup | Mode::Global => left + used,
        Mode::PerCycle => Millis::new(member.total_time_ms),
        Mode::CountUp => max_time.unwrap_or(left),
    };
    Some(Participant {
        id: ParticipantId(Uuid::parse(member.participant_id)?),
        index: member.participant_index,
        group: match member.group_id {
            Some(id) => Some(GroupId(Uuid::parse(id)?)),
            None => None,
        },
        initial_time,
        clock: 0,
        used,
        cycles: member.cycle_count,
        has_expired: member.has_expired,
        expired_at: None,
    })
}

/// The clocks, and the named groups, in the order in which participants first point at them.
fn clocks(
    mode: Mode,
    max_time: Option<Millis>,
    written: &StateJsonV1<'_>,
    participants: &mut [Participant],
) -> Option<(Vec<Millis>, Vec<Group>)> {
    let left: Vec<_> = written.participants.iter().map(|member| Millis::new(member.time_remaining_ms)).collect();
    Some(match mode {
        Mode::PerParticipant | Mode::CountUp => {
            let clocks = participants.iter_mut().zip(&left).enumerate().map(|(place, (participant, left))| {
                participant.clock = place;
                match (mode, max_time) {
                    (Mode::CountUp, Some(max)) => max - participant.used,
                    _ => *left,
                }
            });
            (clocks.collect(), Vec::new())
        }
        Mode::Global => (vec![*left.first()?], Vec::new()),
        Mode::PerCycle => {
            let active = written.active_participant_id;
            let place = written.participants.iter().position(|member| Some(member.participant_id) == active);
            (vec![place.map_or(Millis::ZERO, |place| left[place])], Vec::new())
        }
        Mode::PerGroup => {
            let (mut clocks, mut groups) = (Vec::new(), Vec::<Group>::new());
            let mut known: HashMap<GroupId, usize> = HashMap::new();
            for (participant, left) in participants.iter_mut().zip(left) {
                participant.clock = clocks.len();
                let Some(id) = participant.group else {
                    clocks.push(left);
                    continue;
                };
                let place = *known.entry(id).or_insert_with(|| {
                    groups.push(Group { id, total_time: left, clock: clocks.len() });
                    clocks.push(left);
                    groups.len() - 1
                });
                participant.clock = groups[place].clock;
                groups[place].total_time += participant.used;
            }
            (clocks, groups)
        }
    })
}

/// `Some(None)` for what is absent, `None` for what is no instant.
fn instant(text: Option<&str>) -> Option<Option<Timestamp>> {
    match text {
        Some(text) => instant::parse(text).map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{modern, read};
    use crate::engine::{Millis, Mode, Status, Timestamp};
    use crate::wire::{RecordBody, audit_row, decode, peek, read_header};

    fn fixture(name: &str) -> Bytes {
        let path = format!("{}/tests/fixtures/redis/version_1/{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim_ascii().to_vec().into()
    }

    #[test]
    fn a_running_session_goes_on() {
        let value = modern(fixture("running"));
        let (deadline, kept) = peek(&value).expect("it is one of ours now");
        let since = Timestamp::from_ms(1_769_860_810_000);
        assert_eq!(deadline, Some(since + Millis::new(290_000)));
        assert_eq!(read_header(&value).expect("it has a mark").deadline, deadline);
        let RecordBody::State(tag, _) = kept else { panic!("it is there") };
        assert_eq!((tag.version, tag.epoch), (4, 1_769_860_800_000));
        let session = decode(&value).expect("it can be read");
        assert_eq!((session.mode, session.status), (Mode::PerParticipant, Status::Running));
        assert_eq!(session.cycle_started_at(), Some(since));
        let times: Vec<_> = session.participants.iter().map(|one| (one.initial_time, one.used)).collect();
        let [given, used] = [300_000, 10_000].map(Millis::new);
        assert_eq!(times, [(given, used), (given, Millis::ZERO)]);
    }

    #[test]
    fn each_mode_is_read() {
        for (name, mode, status) in [
            ("pending", Mode::PerCycle, Status::Pending),
            ("groups", Mode::PerGroup, Status::Paused),
            ("global", Mode::Global, Status::Running),
            ("expired", Mode::CountUp, Status::Expired),
        ] {
            let session = read(&fixture(name)).unwrap_or_else(|| panic!("{name} cannot be read"));
            assert_eq!((session.mode, session.status), (mode, status), "{name}");
            assert_eq!(decode(&modern(fixture(name))).as_ref(), Ok(&session), "{name}");
        }
    }

    #[test]
    fn what_2_0_0_left_is_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/redis/version_2_0_0/");
        let read = |name: &str| std::fs::read(format!("{folder}{name}")).expect("it is there");
        for (name, version, events) in [("state_1.json", 4, 4), ("state_2.json", 3, 3), ("state_3.json", 2, 2)] {
            let value = Bytes::from(read(name).trim_ascii().to_vec());
            for value in [value.clone(), modern([b"\x02", &value[..]].concat().into())] {
                let value = modern(value);
                assert_eq!(read_header(&value).expect("it has a mark").events.len(), events, "{name}");
                match peek(&value).expect("it is one of ours") {
                    (None, RecordBody::State(tag, _)) => {
                        let session = decode(&value).expect("it can be read");
                        assert_eq!((session.tag(), session.version), (tag, version), "{name}");
                        assert_eq!(session.metadata.as_deref(), Some(r#"{"table":7,"é":[1.5,null]}"#));
                    }
                    (None, RecordBody::Tombstone(tag)) => assert_eq!((tag.version, name), (version, "state_3.json")),
                    (Some(_), _) => panic!("no clock runs in {name}"),
                }
            }
        }
        let jobs = String::from_utf8(read("jobs.txt")).expect("jobs are text");
        let read: Vec<_> =
            jobs.lines().map(|job| audit_row(job.as_bytes()).expect("it is a job").change.kind).collect();
        assert_eq!(read.len(), 4, "{read:?}");
        assert!(read.contains(&"session_paused"), "{read:?}");
    }

    #[test]
    fn what_is_none_is_left_alone() {
        for text in
            [r#"{"session_id":"x"}"#, r#"{"session_id":7"#, "garbage", "", r#"{"_":[null,0,"",[0,0],[]],"a":1}"#]
        {
            assert_eq!(modern(Bytes::from(text)), text);
        }
    }
}
