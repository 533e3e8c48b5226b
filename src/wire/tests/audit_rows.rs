//! Jobs of the audit, taken apart.

use super::super::{ParticipantColumns, audit_row, encode, encode_dead_letter, encode_job, read_dead_letter};
use super::sample::{self, SWITCH, after, after_noon};
use crate::engine::{ChangeRecord, Command, Event, Millis, Session, Uuid, judge};

const EVENT: Uuid = Uuid::from_bits(0x7000_8000_0000_0000_0001);

/// What would end the job early if it stood there as it is.
const ACTOR: &str = r#"sub:a "é"],"state":{},"timestamp_ms":1"#;

/// The job of a command after noon.
fn job_of(before: &Session, ms: u64, command: &Command) -> (Session, ChangeRecord, String) {
    let judgement = judge(before, command, &Default::default(), after_noon(ms));
    let entry =
        ChangeRecord::of(Some(before), judgement.events, &judgement.session, after_noon(ms)).expect("it changes");
    let members = encode(&judgement.session, after_noon(ms)).body();
    let mut out = Vec::new();
    encode_job(&mut out, EVENT, before.id, judgement.session.tag(), &entry, Some(ACTOR), &members);
    (judgement.session, entry, String::from_utf8(out).expect("JSON is text"))
}

#[test]
fn all_that_is_written_is_read() {
    let session = sample::session(concat!(
        r#"sync_mode="per_group" & participants.0.group_id="@c" & time_per_cycle_ms=2000 & increment_ms=250"#,
        r#" & max_time_ms=86400000 & metadata={"z":[1.50,{"state":"é\""}],"a":1e-308} & on_timeout="notify""#,
        r#" & participants.0.total_time_ms=2000 & participants.0.participant_index=9007199254740991"#,
        r#" & participants.1.participant_index=9007199254740991"#,
    ));
    let running = after(session, &[(1_000, Command::Start), (3_500, Command::Settle), (4_000, Command::Pause)]);
    let running = after(running, &[(5_000, Command::Resume)]);
    let (session, entry, job) = job_of(&running, 6_500, &SWITCH);
    let read = audit_row(job.as_bytes()).expect("it is a job");
    let (change, state) = (read.change, read.state);
    assert_eq!((change.name.event, change.name.session), (EVENT, session.id));
    assert_eq!((change.name.tag, change.name.at), (session.tag(), after_noon(6_500)));
    assert_eq!((change.kind, change.participant, change.group), (entry.kind.name(), entry.participant, entry.group));
    assert_eq!(change.actor.as_deref(), Some(ACTOR));
    assert_eq!((change.time_remaining, change.time_elapsed), (entry.time_remaining, entry.time_elapsed));
    assert_eq!((change.cycles, change.happened), (1, 1));
    let events = job.split_once(r#","events":"#).and_then(|(_, rest)| rest.split_once(r#","state":"#));
    let (events, json) = events.expect("they stand in this change");
    assert_eq!(change.events, format!(r#"{{"events":{events}}}"#).into_bytes());
    assert_eq!(format!("{}}}", change.state), json);
    assert_eq!((state.mode, state.final_status), ("per_group", None));
    assert_eq!((state.active, state.active_since), (session.active().map(|it| it.id), session.cycle_started_at()));
    assert_eq!(
        (state.time_per_cycle, state.increment, state.max_time),
        (session.time_per_cycle, session.increment, session.max_time)
    );
    assert_eq!(
        (state.created_at, state.started_at, state.completed_at),
        (session.created_at, session.started_at, session.completed_at)
    );
    assert_eq!(state.metadata, session.metadata.as_deref());
    let participants: Vec<_> = session
        .participants
        .iter()
        .map(|it| ParticipantColumns {
            id: it.id,
            index: it.index,
            group: it.group,
            initial_time: it.initial_time,
            used: it.used,
            cycles: it.cycles,
            has_expired: it.has_expired,
            expired_at: it.expired_at,
        })
        .collect();
    assert_eq!(state.participants, participants);
    assert_eq!(
        String::from_utf8_lossy(&participants[0].metadata()),
        concat!(
            r#"{"participant_index":9007199254740991,"has_expired":true,"#,
            r#""expired_at":"2026-01-31T12:00:03.000Z"}"#
        )
    );
    assert_eq!(participants[0].used, Millis::new(2_000));
}

#[test]
fn an_end_is_told_and_so_is_all_that_happened_at_once() {
    let session = sample::session("participants.0.total_time_ms=2000");
    let running = after(session, &[(1_000, Command::Start)]);
    let (session, entry, job) = job_of(&running, 9_000, &Command::Settle);
    assert!(matches!(entry.events[..], [Event::ParticipantExpired { .. }, Event::SessionExpired { .. }]));
    let read = audit_row(job.as_bytes()).expect("it is a job");
    assert_eq!((read.change.happened, read.state.final_status, read.state.active), (2, Some("expired"), None));
    assert_eq!(read.state.completed_at, session.completed_at);
    assert_eq!((read.state.max_time, read.state.metadata), (None, None));
}

#[test]
fn what_is_no_job_is_refused() {
    let started = after(sample::session(r#"metadata={"a":1}"#), &[(1_000, Command::Start)]);
    let (_, _, good) = job_of(&started, 2_000, &SWITCH);
    assert!(audit_row(good.as_bytes()).is_ok());
    for (from, to) in [
        (r#""version":3"#, r#""version":9223372036854775808"#),
        (r#""version":3"#, r#""version":-1"#),
        (r#""cycle_number":1,"#, ""),
        (r#""timestamp_ms":1769860802000"#, r#""timestamp_ms":253402300800000"#),
        ("-7000-8000-", "-0000-8000-"),
        (r#""time_elapsed_ms":1000"#, r#""time_elapsed_ms":"1000""#),
        (r#""created_at":"2026-01-31T"#, r#""created_at":"2026-02-31T"#),
        (r#""events":[{"#, r#""events":{"a":{"#),
        (r#""metadata":{"a":1}"#, r#""metadata":{"a":1]"#),
        (r#""has_expired":false"#, r#""has_expired":0"#),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(audit_row(bad.as_bytes()).is_err(), "{to}");
    }
    for bad in [&b""[..], b"[]", b"{}", b"\xff", &good.as_bytes()[..good.len() - 1]] {
        assert!(audit_row(bad).is_err());
    }
}

/// A dead letter holds its job byte by byte, whatever it is, so that it can be redriven and found again.
#[test]
fn a_dead_letter_keeps_its_job_as_it_is() {
    for job in [
        r#"{"event_id":1}"#,
        r#" {"a":1} "#,
        r#""{}""#,
        "7",
        "null",
        "",
        "what",
        "{",
        "\u{0}\"\\",
        r#"{"a":1},{"b":2}"#,
    ] {
        let letter = read_dead_letter(&encode_dead_letter(job.as_bytes(), "no \"rows\"", 3)).expect("it is one");
        assert_eq!((letter.error.as_str(), letter.attempts), ("no \"rows\"", 3), "{job}");
        assert_eq!(String::from_utf8_lossy(&letter.job), job);
    }
    assert_eq!(encode_dead_letter(br#"{"a":1}"#, "e", 1), br#"{"error":"e","attempts":1,"job":{"a":1}}"#);
}
