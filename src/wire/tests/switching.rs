//! Requests for the next turn.

use super::super::{FieldProblems, Object, SwitchRequest, session_id, switch};
use super::creating::UUIDS;
use super::table::{check, check_lines, problems};
use crate::engine::{SessionId, Uuid};

/// The parts of a switch.
pub(super) fn switched(body: &Object<'_>, problems: &mut FieldProblems) -> Option<Vec<String>> {
    let SwitchRequest { next, current, expected_version } = switch(body, problems)?;
    let parts = [
        next.map(|id| format!("next_participant_id={id}")),
        current.map(|id| format!("current_participant_id={id}")),
        expected_version.map(|version| format!("expected_version={version}")),
    ];
    Some(parts.into_iter().flatten().collect())
}

#[test]
fn participants_are_uuids() {
    for field in ["next_participant_id", "current_participant_id"] {
        check("", switched, &UUIDS.replace("FIELD", field));
    }
}

#[test]
fn all_fields_are_optional_and_others_are_ignored() {
    check(
        "",
        switched,
        r#"
        >
          nothing new
        > nobody=null & participant_id=7
          nothing new
        > expected_version=3.0 & current_participant_id="@b" & next_participant_id="@a"
          next_participant_id=@a
          current_participant_id=@b
          expected_version=3
        > next_participant_id=7 & +next_participant_id="@a"
          next_participant_id=@a
        > expected_version=0 & current_participant_id=null & next_participant_id=""
          next_participant_id invalid_format
          current_participant_id invalid_type
          expected_version too_small
        > expected_version=null
          expected_version invalid_type
        "#,
    );
}

#[test]
fn a_session_is_named_by_a_uuid() {
    let answer = |text: &str| {
        let mut found = FieldProblems::new();
        match session_id(Uuid::parse(text).map(SessionId), &mut found) {
            Some(id) => id.to_string(),
            None => problems(&found),
        }
    };
    check_lines(
        r#"
        > 550E8400-E29B-41D4-A716-446655440000
          550e8400-e29b-41d4-a716-446655440000
        > 00000000-0000-0000-0000-000000000000
          00000000-0000-0000-0000-000000000000
        > 550e8400-e29b-91d4-a716-446655440000
          id invalid_format
        > undefined
          id invalid_format
        >
          id invalid_format
        "#,
        answer,
    );
}
