//! Stored values of every format, read as format 1: a state of version 1 becomes one of ours, and the byte that names a
//! format is cut off. Does not know which server wrote them.
//!
//! | begins with | is |
//! |---|---|
//! | `{"_":` | format 1: the store's own member, then the state |
//! | 2 | format 2: that byte, then the same |
//! | 3 | format 3: that byte, then the same, of a session with a time control |
//! | another byte below 32 | a format of a newer server |
//! | `{"session_id":` | what version 1 left: the public state, without what came since |

use std::ops::RangeInclusive;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::engine::{Session, defect};

use super::decode::{Undecodable, decode_sound};
use super::format_v1;
use super::record_format::{RecordHeader, encode_header};
use super::state::encode;

/// What a state of version 1 begins with; ours begin with the store's own member.
const BEGINNING: &[u8] = br#"{"session_id":"#;

/// The formats that are read here.
pub const FORMATS: RangeInclusive<u8> = 1..=3;
/// The format of sessions with a time control, so that no server takes them for sessions without.
pub const TIME_CONTROLS_FORMAT: u8 = 3;

/// What is stored, in format 1. Anything that is none of the above is left as it is.
pub fn modern(value: Bytes) -> Bytes {
    if let Some(2..=TIME_CONTROLS_FORMAT) = value.first() {
        return value.slice(1..);
    }
    if !value.starts_with(BEGINNING) {
        return value;
    }
    let Some(session) = format_v1::read(&value) else { return value };
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
    let left = if is_old { format_v1::read(state) } else { None };
    match left.filter(|session| defect(session).is_none()) {
        Some(session) => Ok(session),
        None => decode_sound(state),
    }
}

/// Whether a newer server wrote it.
pub fn is_newer(value: &[u8]) -> bool {
    value.first().is_some_and(|first| (TIME_CONTROLS_FORMAT + 1..32).contains(first) && !first.is_ascii_whitespace())
}

/// The format of a state where others are written in `format`.
pub fn format_of(session: &Session, format: u8) -> u8 {
    if session.controls.is_some() { TIME_CONTROLS_FORMAT } else { format }
}

/// Writes what precedes a stored value in a format.
pub fn begin(format: u8, out: &mut Vec<u8>) {
    if format > 1 {
        out.push(format);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{FORMATS, begin, is_newer, modern};
    use crate::engine::{Millis, Mode, Status, Timestamp};
    use crate::wire::format_v1;
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
            let session = format_v1::read(&fixture(name)).unwrap_or_else(|| panic!("{name} cannot be read"));
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
    fn a_format_that_is_known_is_read_and_a_later_one_is_newer() {
        let record = r#"{"_":[null,0,"",[0,0],[]],"a":1}"#;
        for format in FORMATS {
            let mut value = Vec::new();
            begin(format, &mut value);
            value.extend_from_slice(record.as_bytes());
            assert_eq!((modern(value.clone().into()), is_newer(&value)), (Bytes::from(record), false), "{format}");
        }
        let next = [&[FORMATS.end() + 1], record.as_bytes()].concat();
        assert!(is_newer(&next) && modern(next.clone().into()) == next);
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
