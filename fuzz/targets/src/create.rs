//! A body that creates a session: read twice, by the server and by an oracle, which must agree on the session or on every
//! problem; and what is created keeps the engine's rules and is read back as it was written.

use std::collections::HashSet;
use std::sync::Arc;

use synckairos::engine::{GroupId, Millis, NewParticipant, NewSession, OnTimeout, ParticipantId, SessionId, Timestamp};
use synckairos::engine::{defect, violation};
use synckairos::wire::{self, FieldProblems, KnownFields, Object};

use crate::model::Json;
use crate::model_fields::{self, Problems, UNSURE};

/// When sessions are created.
pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_769_860_800_000);

/// Reads a body.
pub(crate) fn run(body: &[u8]) {
    let mut problems = FieldProblems::new();
    let Ok(object) = Object::parse(body, &mut problems) else { return };
    // Whatever comes of it, it comes to an end.
    wire::unknown_fields(&object, KnownFields::CREATE, &mut FieldProblems::new());
    if !problems.is_empty() {
        return;
    }
    let read = wire::create(&object, &mut problems);
    assert_eq!(read.is_some(), problems.is_empty(), "what is refused has a problem: {problems:?}");
    let text = std::str::from_utf8(body).expect("what is read is text");
    let text = if body.is_empty() { "{}" } else { text };
    let Some(document) = Json::read(text) else { return };
    let mut expected = Problems::default();
    let modelled = create(&document, &mut expected);
    let found: Vec<_> = problems.iter().map(|problem| (problem.field.clone(), problem.code.name())).collect();
    if expected.0.iter().all(|(_, code)| *code != UNSURE) {
        assert_eq!(found, expected.0, "problems of {text}");
        assert_eq!(read, modelled, "what {text} asks for");
    }
    if let Some(new) = read {
        let session = new.create(NOW.as_ms(), NOW);
        assert_eq!(violation(&session), None, "{text}");
        assert_eq!(defect(&session), None, "{text}");
        let encoded = wire::encode(&session, NOW);
        assert_eq!(wire::decode_sound(&encoded.state()).as_ref(), Ok(&session), "what was written of {text}");
    }
}

fn create(document: &Json, problems: &mut Problems) -> Option<NewSession> {
    let id = problems.required(document, "", "session_id", model_fields::uuid);
    let mode = problems.required(document, "", "sync_mode", model_fields::mode);
    let list = problems.required(document, "", "participants", |value| model_fields::list(value, 1, 1_000));
    let participants = list.and_then(|list| participants(&list, problems));
    let total_time = problems.required(document, "", "total_time_ms", model_fields::time);
    let time_per_cycle = problems.optional(document, "", "time_per_cycle_ms", model_fields::time);
    let increment = problems.optional(document, "", "increment_ms", model_fields::increment);
    let max_time = problems.optional(document, "", "max_time_ms", model_fields::time);
    let metadata = problems.optional(document, "", "metadata", |value| model_fields::metadata(value, 4_096));
    let on_timeout = problems.optional(document, "", "on_timeout", model_fields::on_timeout);
    let list = problems.optional(document, "", "warn_at_ms", |value| model_fields::list(value, 0, 8));
    let warn_at = list.map(|list| thresholds(&list, problems)).unwrap_or_default();
    let list = problems.optional(document, "", "groups", |value| model_fields::list(value, 0, 1_000));
    let groups = list.map(|list| groups(&list, participants.as_deref(), problems)).unwrap_or_default();
    if !problems.0.is_empty() {
        return None;
    }
    Some(NewSession {
        id: SessionId(id?),
        mode: mode?,
        participants: participants?,
        groups,
        total_time: total_time?,
        time_per_cycle,
        increment: increment.unwrap_or_default(),
        max_time,
        on_timeout: on_timeout.unwrap_or(OnTimeout::Expire),
        warn_at: warn_at.into(),
        metadata: metadata.map(Arc::from),
        controls: None,
    })
}

fn participants(list: &[Json], problems: &mut Problems) -> Option<Vec<NewParticipant>> {
    let (before, mut seen, mut all) = (problems.0.len(), HashSet::new(), Vec::new());
    for (position, entry) in list.iter().enumerate() {
        if problems.is_full() {
            break;
        }
        if !entry.is_object() {
            problems.add(format!("participants.{position}"), "invalid_type");
            continue;
        }
        let place = format!("participants.{position}.");
        let id = problems.required(entry, &place, "participant_id", |value| {
            let id = model_fields::uuid(value)?;
            if seen.insert(id) { Ok(ParticipantId(id)) } else { Err("invalid_value") }
        });
        let whole = |value: &Json| model_fields::integer(value, 0, (1 << 53) - 1);
        let index = problems.required(entry, &place, "participant_index", whole);
        let total_time = problems.required(entry, &place, "total_time_ms", model_fields::time);
        let group = problems.optional(entry, &place, "group_id", model_fields::uuid).map(GroupId);
        if let (Some(id), Some(index), Some(total_time)) = (id, index, total_time) {
            all.push(NewParticipant { id, index, total_time, group });
        }
    }
    (problems.0.len() == before).then_some(all)
}

fn groups(list: &[Json], participants: Option<&[NewParticipant]>, problems: &mut Problems) -> Vec<(GroupId, Millis)> {
    let (mut seen, mut all) = (HashSet::new(), Vec::new());
    for (position, entry) in list.iter().enumerate() {
        if problems.is_full() {
            break;
        }
        if !entry.is_object() {
            problems.add(format!("groups.{position}"), "invalid_type");
            continue;
        }
        let place = format!("groups.{position}.");
        let id = problems.required(entry, &place, "group_id", |value| {
            let id = GroupId(model_fields::uuid(value)?);
            let is_known = participants.is_none_or(|all| all.iter().any(|one| one.group == Some(id)));
            if is_known && seen.insert(id) { Ok(id) } else { Err("invalid_value") }
        });
        let total_time = problems.required(entry, &place, "total_time_ms", model_fields::time);
        all.extend(id.zip(total_time));
    }
    all
}

/// Thresholds of warnings.
pub(crate) fn thresholds(list: &[Json], problems: &mut Problems) -> Vec<Millis> {
    let mut all = Vec::new();
    for (position, value) in list.iter().enumerate() {
        match model_fields::threshold(value) {
            Ok(threshold) => all.push(threshold),
            Err(code) => problems.add(format!("warn_at_ms.{position}"), code),
        }
    }
    all
}
