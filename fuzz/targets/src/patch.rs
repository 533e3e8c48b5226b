//! A body that changes a session: read by the server and by an oracle, which must agree; then judged by the engine, whose
//! rules hold of what becomes of the session.

use synckairos::engine::{Command, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Patch};
use synckairos::engine::{Precondition, SessionId, Uuid, defect, judge, violation, violation_between};
use synckairos::wire::{self, FieldProblems, Object};

use crate::create::{self, NOW};
use crate::model::Json;
use crate::model_fields::{self, Looked, Problems, UNSURE};

/// Names of fields in the order in which the server keeps them, which is that of its answers.
const FIELDS: [&str; 20] = [
    "session_id",
    "sync_mode",
    "participants",
    "total_time_ms",
    "time_per_cycle_ms",
    "increment_ms",
    "max_time_ms",
    "metadata",
    "on_timeout",
    "warn_at_ms",
    "groups",
    "next_participant_id",
    "current_participant_id",
    "expected_version",
    "participant_id",
    "participant_index",
    "group_id",
    "type",
    "timestamp",
    "request_id",
];
const CHANGEABLE: [&str; 7] =
    ["metadata", "increment_ms", "time_per_cycle_ms", "max_time_ms", "on_timeout", "warn_at_ms", "expected_version"];

/// Reads a body, of which the first byte says in which mode the session is.
pub(crate) fn run(input: &[u8]) {
    let Some((&mode, body)) = input.split_first() else { return };
    let mut problems = FieldProblems::new();
    let Ok(object) = Object::parse(body, &mut problems) else { return };
    if !problems.is_empty() {
        return;
    }
    let read = wire::patch(&object, &mut problems);
    assert_eq!(read.is_some(), problems.is_empty(), "what is refused has a problem: {problems:?}");
    let text = if body.is_empty() { "{}" } else { std::str::from_utf8(body).expect("what is read is text") };
    if let Some(document) = Json::read(text) {
        let mut expected = Problems::default();
        let (settings, version) = patch(&document, &mut expected);
        let found: Vec<_> = problems.iter().map(|problem| (problem.field.clone(), problem.code.name())).collect();
        let is_sure = expected.0.iter().all(|(_, code)| *code != UNSURE);
        // A name that is no text is told as it stands there.
        let is_text = document.members().iter().all(|(name, _)| name.text().is_some());
        if is_sure && is_text && document.members().len() <= 100 {
            assert_eq!(found, expected.0, "problems of {text}");
            let known = read.as_ref().map(|patch| (&patch.settings, patch.expected_version));
            assert_eq!(known, expected.0.is_empty().then_some((&settings, version)), "what {text} asks for");
        }
    }
    let Some(patch) = read else { return };
    let before = session(Mode::ALL[usize::from(mode) % Mode::ALL.len()]);
    let merged = patch.merge.map(|merge| merge.apply(before.metadata.as_deref()));
    let metadata = match merged {
        Some(Ok(metadata)) => Some(metadata),
        Some(Err(wire::TooLarge)) => return,
        None => None,
    };
    let command = Command::Patch(Patch { metadata, ..patch.settings });
    let precondition = Precondition { version: patch.expected_version, one_of: None };
    let after = judge(&before, &command, &precondition, NOW + Millis::new(1_234)).session;
    assert_eq!(violation(&after), None, "{text}");
    assert_eq!(violation_between(&before, &after), None, "{text}");
    assert_eq!(defect(&after), None, "{text}");
    let encoded = wire::encode(&after, NOW);
    assert_eq!(wire::decode_sound(&encoded.state()).as_ref(), Ok(&after), "what was written of {text}");
}

fn session(mode: Mode) -> synckairos::engine::Session {
    let id = |n: u128| Uuid::from_bits(0x0000_4000_8000 << 48 | n);
    let participant = |n: u64| NewParticipant {
        id: ParticipantId(id(n.into())),
        index: n,
        total_time: Millis::new(60_000),
        group: None,
    };
    let new = NewSession {
        id: SessionId(id(7)),
        mode,
        participants: (1..=3).map(participant).collect(),
        groups: Vec::new(),
        total_time: Millis::new(180_000),
        time_per_cycle: None,
        increment: Millis::new(500),
        max_time: None,
        on_timeout: OnTimeout::Expire,
        warn_at: [].into(),
        metadata: Some(r#"{"a":1,"b":{"c":[null],"d":"x"}}"#.into()),
        controls: None,
    };
    judge(&new.create(NOW.as_ms(), NOW), &Command::Start, &Precondition::default(), NOW).session
}

fn patch(document: &Json, problems: &mut Problems) -> (Patch, Option<u64>) {
    // A change may name all that there is and all that is to come.
    let change = |value: &Json| match value {
        Json::Null => Ok(()),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            model_fields::metadata(value, 16_384).map(drop)
        }
    };
    problems.optional(document, "", "metadata", change);
    let increment = problems.optional(document, "", "increment_ms", |value| nullable(value, model_fields::increment));
    let length = |value: &Json| nullable(value, |value| model_fields::time(value).map(Some));
    let time_per_cycle = problems.optional(document, "", "time_per_cycle_ms", length);
    let max_time = problems.optional(document, "", "max_time_ms", length);
    let on_timeout = problems.optional(document, "", "on_timeout", |value| nullable(value, model_fields::on_timeout));
    let list = |value: &Json| nullable(value, |value| model_fields::list(value, 0, 8));
    let list = problems.optional(document, "", "warn_at_ms", list);
    let warn_at = list.map(|list| create::thresholds(&list, problems).into());
    let version = problems.optional(document, "", "expected_version", model_fields::version);
    let given = |name: &&str| document.member(name).is_some();
    for name in FIELDS.iter().filter(|name| !CHANGEABLE.contains(name)).filter(|name| given(name)) {
        problems.add((*name).to_owned(), "invalid_value");
    }
    // Others are told as often as they are given.
    for (name, _) in document.members() {
        let Some(name) = name.text() else { continue };
        if !FIELDS.contains(&name) {
            let told = (0..=name.len().min(128)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
            problems.add(name[..told].to_owned(), "invalid_value");
        }
    }
    (Patch { metadata: None, increment, time_per_cycle, max_time, on_timeout, warn_at }, version)
}

fn nullable<T: Default>(value: &Json, look: impl FnOnce(&Json) -> Looked<T>) -> Looked<T> {
    if *value == Json::Null { Ok(T::default()) } else { look(value) }
}
