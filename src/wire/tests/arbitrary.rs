//! Bytes that nobody meant, and states that somebody could have made.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::super::{
    Encoded, FieldProblems, Object, RecordHeader, audit_row, create, decode, encode, lifetime_basis, patch,
    read_client_message, switch, written_at,
};
use super::sample::{self, after, after_noon};
use super::table::body;
use crate::engine::{Command, Millis, Mode, OnTimeout, ParticipantId, Patch, Session, Timestamp, Uuid};

/// Lets every reader read; all that is asked is an answer.
fn read(bytes: &[u8]) {
    let _ = read_client_message(bytes);
    let _ = audit_row(bytes);
    let mut problems = FieldProblems::new();
    let _ = Uuid::parse(&String::from_utf8_lossy(bytes));
    let Ok(object) = Object::parse(bytes, &mut problems) else { return };
    let found = problems.len();
    let created = create(&object, &mut problems);
    assert_eq!(created.is_some(), problems.len() == found);
    switch(&object, &mut FieldProblems::new());
    if let Some(change) = patch(&object, &mut FieldProblems::new()).and_then(|request| request.merge)
        && let Ok(Some(merged)) = change.apply(Some(r#"{"a":{"b":[1]},"c":null}"#))
    {
        let is_object = serde_json::from_str::<Value>(&merged).is_ok_and(|value| value.is_object());
        assert!(is_object, "{:?}: {merged}", change.text());
    }
}

/// Pieces of requests: what a reader takes seriously.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    " ",
    "\n",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "1.5",
    "60000",
    "{}",
    "[]",
    r#""session_id":"#,
    r#""sync_mode":"#,
    r#""participants":"#,
    r#""participant_id":"#,
    r#""total_time_ms":"#,
    r#""metadata":"#,
    r#""groups":"#,
    r#""warn_at_ms":"#,
    r#""type":"#,
    r#""PING""#,
    r#""SWITCH""#,
    r#""a":"#,
    r#""550e8400-e29b-41d4-a716-446655440000""#,
    r#""global""#,
    r#""\ud800""#,
    r#""\u0000""#,
    "\u{e9}",
    "\0",
];

/// Any JSON, with names that mean something, as text.
fn json() -> impl Strategy<Value = String> {
    let names = || select(&["a", "b", "c", "metadata", "participants", "total_time_ms", "type", "groups", "é"][..]);
    let leaf = prop_oneof![
        select(PIECES)
            .prop_filter("valid alone", |piece| serde_json::from_str::<Value>(piece).is_ok())
            .prop_map(str::to_owned),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let members = vec((names(), inner.clone()), 0..8).prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
            format!("{{{}}}", members.join(" , "))
        });
        prop_oneof![members, vec(inner, 0..8).prop_map(|values| format!("[{}]", values.join(",")))]
    })
}

/// A session somewhere in its life.
fn lives() -> impl Strategy<Value = Session> {
    let settings = vec(select(SETTINGS), 0..6);
    let steps = vec((0..2_500_u64, commands()), 0..12);
    (select(&Mode::ALL[..]), select(&OnTimeout::ALL[..]), settings, any::<bool>(), steps).prop_map(
        |(mode, on_timeout, settings, started, mut steps)| {
            let (mode, on_timeout) = (mode.name(), on_timeout.name());
            let session = sample::session(&format!(
                r#"sync_mode="{mode}" & on_timeout="{on_timeout}" & {}"#,
                settings.join(" & ")
            ));
            if started {
                steps.insert(0, (0, Command::Start));
            }
            let mut now = 0;
            for (wait, _) in &mut steps {
                now += *wait;
                *wait = now;
            }
            after(session, &steps)
        },
    )
}

/// Edits of the request that a life begins with.
const SETTINGS: &[&str] = &[
    "time_per_cycle_ms=1500",
    "increment_ms=700",
    "max_time_ms=4000",
    "total_time_ms=9000",
    "warn_at_ms=[2000,500]",
    r#"metadata={"a":{"b":null},"é":[1.50]}"#,
    r#"participants.0.group_id="@c""#,
    r#"participants.0.total_time_ms=3000"#,
    r#"participants.0.participant_index=3"#,
    r#"participants.1.group_id="@c""#,
    r#"participants.1.group_id="@d""#,
    r#"participants.1.total_time_ms=2000"#,
];

fn commands() -> impl Strategy<Value = Command> {
    let settings = [
        Patch { max_time: Some(None), ..Patch::default() },
        Patch { max_time: Some(Some(Millis::new(6_000))), ..Patch::default() },
        Patch { time_per_cycle: Some(Some(Millis::new(1_000))), ..Patch::default() },
        Patch { on_timeout: Some(OnTimeout::Notify), ..Patch::default() },
        Patch { metadata: Some(None), warn_at: Some([].into()), ..Patch::default() },
    ];
    let somebody = || proptest::option::weighted(0.3, select(&[0xa, 0xb][..]).prop_map(participant));
    prop_oneof![
        1 => select(&[Command::Start, Command::Complete, Command::Cancel][..]),
        4 => select(&[Command::Settle, Command::Pause, Command::Resume][..]),
        2 => select(settings.to_vec()).prop_map(Command::Patch),
        6 => (somebody(), somebody()).prop_map(|(next, current)| Command::Switch { next, current }),
    ]
}

fn participant(letter: u128) -> ParticipantId {
    ParticipantId(Uuid::from_bits(0x4000_8000_0000_0000_0000 | letter))
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }

    #[test]
    fn anything_like_a_request_gets_an_answer(pieces in vec(select(PIECES), 0..24)) {
        read(pieces.concat().as_bytes());
    }

    #[test]
    fn any_json_gets_an_answer(
        json in json(),
        field in select(&["metadata", "participants", "groups", "total_time_ms", "session_id", "type"][..]),
        cut in any::<Index>(),
    ) {
        read(json.as_bytes());
        let body = body(sample::NEW, "").replace("\"sync_mode\"", &format!("\"{field}\":{json},\"sync_mode\""));
        read(body.as_bytes());
        read(&body.as_bytes()[..cut.index(body.len())]);
    }

    #[test]
    fn metadata_means_what_was_given(json in json()) {
        let mut problems = FieldProblems::new();
        let text = format!(r#"{{"metadata":{json}}}"#);
        let object = Object::parse(text.as_bytes(), &mut problems).expect("the body is JSON");
        let merge = patch(&object, &mut problems).and_then(|request| request.merge);
        if let Some(kept) = merge.as_ref().and_then(|merge| merge.text()) {
            let (kept, given): (Value, Value) =
                (serde_json::from_str(kept).expect("JSON"), serde_json::from_str(&json).expect("JSON"));
            // As text: numbers are compared as they are written.
            prop_assert_eq!(kept.to_string(), given.to_string());
        }
    }

    #[test]
    fn a_merge_is_the_one_of_the_standard(target in json(), change in json()) {
        let given = |json: &str| {
            let (body, mut problems) = (format!(r#"{{"metadata":{json}}}"#), FieldProblems::new());
            let object = Object::parse(body.as_bytes(), &mut problems).expect("the body is JSON");
            patch(&object, &mut problems).and_then(|request| request.merge)
        };
        let (Some(first), Some(second)) = (given(&target), given(&change)) else { return Ok(()) };
        let (Some(target), Some(change)) = (first.text(), second.text()) else { return Ok(()) };
        if let Ok(Some(merged)) = second.apply(Some(target)) {
            let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            let mut expected = value(target);
            merge(&mut expected, value(change));
            prop_assert_eq!(value(&merged), expected);
        }
    }

    #[test]
    fn what_is_json_is_what_others_take_for_it(pieces in vec(select(PIECES), 0..12), json in json(), cut in any::<Index>()) {
        let (pieces, cut) = (pieces.concat(), &json[..json.floor_char_boundary(cut.index(json.len() + 1))]);
        for text in [&pieces, &json, cut, &format!("{{\"a\":{pieces}}}"), &format!("[{pieces}]")] {
            let ours = Object::parse(text.as_bytes(), &mut FieldProblems::new()).is_ok();
            let theirs = text.is_empty() || serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }

    #[test]
    fn a_state_has_the_fields_of_the_contract_in_their_order(session in lives()) {
        let encoded = encode(&session, session.updated_at);
        let state: Value = serde_json::from_slice(&encoded.state()).expect("a state is JSON");
        prop_assert_eq!(names(&state), expected_names(&session));
        let nulls = state.as_object().into_iter().flatten().filter(|(_, value)| value.is_null());
        for (name, _) in nulls {
            prop_assert!(NULLABLE.contains(&name.as_str()), "{} is null", name);
        }
        let participants = state["participants"].as_array().expect("participants are a list");
        prop_assert_eq!(participants.len(), session.participants.len());
        for (place, participant) in session.participants.iter().enumerate() {
            let mut names = vec![
                "participant_id", "participant_index", "total_time_ms", "time_used_ms", "time_remaining_ms",
                "cycle_count", "is_active", "has_expired",
            ];
            names.extend(participant.group.map(|_| "group_id"));
            names.push("initial_time_ms");
            names.extend(participant.expired_at.map(|_| "expired_at"));
            prop_assert_eq!(self::names(&participants[place]), names);
            let known = participants[place].as_object().is_some_and(|own| own.values().all(|value| !value.is_null()));
            prop_assert!(known);
        }
        for group in state["groups"].as_array().into_iter().flatten() {
            prop_assert_eq!(names(group), ["group_id", "total_time_ms", "time_remaining_ms"]);
        }
    }

    #[test]
    fn a_state_shows_what_the_engine_says(session in lives()) {
        let encoded = encode(&session, session.updated_at);
        let state: Value = serde_json::from_slice(&encoded.state()).expect("a state is JSON");
        let number = |value: &Value| value.as_u64().expect("a number");
        prop_assert_eq!(number(&state["version"]), session.version);
        prop_assert_eq!(&state["status"], session.status.name());
        let active: Vec<_> = state["participants"].as_array().expect("participants").iter()
            .filter(|participant| participant["is_active"] == true).collect();
        prop_assert!(active.len() <= 1);
        let name = active.first().map_or(&Value::Null, |active| &active["participant_id"]);
        prop_assert_eq!(&state["active_participant_id"], name);
        for (place, participant) in session.participants.iter().enumerate() {
            let shown = &state["participants"][place];
            prop_assert_eq!(number(&shown["time_remaining_ms"]), session.shown_time(place).as_ms());
            prop_assert_eq!(&shown["total_time_ms"], &shown["time_remaining_ms"]);
            prop_assert_eq!(number(&shown["time_used_ms"]), participant.used.as_ms());
            prop_assert_eq!(number(&shown["cycle_count"]), participant.cycles);
            prop_assert_eq!(number(&shown["initial_time_ms"]), participant.initial_time.as_ms());
            prop_assert_eq!(&shown["has_expired"], participant.has_expired);
        }
        let (since, deadline) = (&state["cycle_started_at"], &state["deadline_at"]);
        prop_assert_eq!(since.is_null(), session.cycle_started_at().is_none());
        if let Some(active) = active.first().filter(|_| !deadline.is_null()) {
            prop_assert_eq!(milliseconds(deadline) - milliseconds(since), number(&active["time_remaining_ms"]));
        }
        prop_assert_eq!(milliseconds(&state["updated_at"]), session.updated_at.as_ms() % DAY_MS);
    }

    #[test]
    fn a_state_is_read_back_as_it_was(session in lives()) {
        prop_assert_eq!(decode(&encode(&session, session.updated_at).state()), Ok(session));
    }

    #[test]
    fn what_a_lifetime_depends_on_is_found_in_the_bytes(session in lives(), written_us in 0..4_000_000_000_000_000_u64) {
        let (encoded, expected) = (encode(&session, session.updated_at), (session.status, session.deadline()));
        for bytes in [encoded.frame(), encoded.state(), encoded.body().to_object().into()] {
            prop_assert_eq!(lifetime_basis(&bytes), Some(expected));
        }
        let mark = RecordHeader { deadline: session.deadline(), changed_us: written_us, ..RecordHeader::default() };
        let mut stored = Vec::new();
        super::super::encode_header(&mut stored, &mark);
        stored.extend_from_slice(&encoded.body());
        prop_assert_eq!(written_at(&stored.into()), Some(Timestamp::from_ms(written_us / 1_000)));
    }

    #[test]
    fn a_frame_holds_its_state_and_that_its_participants(session in lives(), ms in 0..100_000_u64) {
        let encoded = encode(&session, after_noon(ms));
        let frame: Value = serde_json::from_slice(&encoded.frame()).expect("a frame is JSON");
        prop_assert_eq!(names(&frame), ["type", "sessionId", "timestamp", "state"]);
        prop_assert_eq!(frame["timestamp"].as_u64(), Some(after_noon(ms).as_ms()));
        prop_assert_eq!(&frame["state"], &serde_json::from_slice::<Value>(&encoded.state()).expect("JSON"));
        let participants: Value = serde_json::from_slice(&encoded.participants()).expect("JSON");
        prop_assert_eq!(&frame["state"]["participants"], &participants);
        prop_assert_eq!([&b"{"[..], &encoded.body()].concat(), encoded.state());
        prop_assert!(shares_memory(&encoded));
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else { return *target = patch };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let members = target.as_object_mut().expect("it is an object now");
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// The state's fields that may be null.
const NULLABLE: [&str; 6] = [
    "active_participant_id",
    "time_per_cycle_ms",
    "cycle_started_at",
    "session_started_at",
    "session_completed_at",
    "deadline_at",
];

/// The state's fields in the change of the contract.
fn expected_names(session: &Session) -> Vec<&'static str> {
    let mut names = vec![
        "session_id",
        "sync_mode",
        "status",
        "version",
        "epoch",
        "participants",
        "active_participant_id",
        "total_time_ms",
        "time_per_cycle_ms",
        "cycle_started_at",
        "session_started_at",
        "session_completed_at",
        "increment_ms",
    ];
    names.extend(session.max_time.map(|_| "max_time_ms"));
    names.extend(["deadline_at", "on_timeout"]);
    names.extend((session.unattended_turns > 0).then_some("unattended_turns"));
    names.extend(session.warn_at.first().map(|_| "warn_at_ms"));
    names.extend(session.groups.first().map(|_| "groups"));
    names.extend(session.metadata.as_ref().map(|_| "metadata"));
    names.extend(["created_at", "updated_at"]);
    names
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

const DAY_MS: u64 = 86_400_000;

/// Milliseconds since midnight. All lives are of one day.
fn milliseconds(instant: &Value) -> u64 {
    let text =
        instant.as_str().and_then(|text| text.strip_prefix("2026-01-31T")?.strip_suffix('Z')).expect("an instant");
    let part = |range: std::ops::Range<usize>| text[range].parse::<u64>().expect("digits");
    ((part(0..2) * 60 + part(3..5)) * 60 + part(6..8)) * 1_000 + part(9..12)
}

fn shares_memory(encoded: &Encoded) -> bool {
    let (frame, state, participants) = (encoded.frame(), encoded.state(), encoded.participants());
    let (frame, state, participants) = (frame.as_ptr_range(), state.as_ptr_range(), participants.as_ptr_range());
    frame.start < state.start
        && state.end <= frame.end
        && state.start < participants.start
        && participants.end < state.end
        && encoded.body().as_ptr_range().end == state.end
}
