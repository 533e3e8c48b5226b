//! What several tables begin with: a request, and a session that was made from it.

use super::super::{FieldProblems, Object, create};
use super::table;
use crate::engine::{Command, Precondition, Session, Timestamp, judge};

/// A request to create a session, as edits of nothing.
pub(super) const NEW: &str = concat!(
    r#"session_id="@1" & sync_mode="per_participant""#,
    r#" & participants.0.participant_id="@a" & participants.0.participant_index=0"#,
    r#" & participants.0.total_time_ms=300000"#,
    r#" & participants.1.participant_id="@b" & participants.1.participant_index=1"#,
    r#" & participants.1.total_time_ms=300000"#,
    r#" & total_time_ms=600000"#,
);

/// 2026-01-31T12:00:00.000Z.
pub(super) const NOON: Timestamp = Timestamp::from_ms(1_769_860_800_000);

/// So many milliseconds after noon.
pub(super) fn after_noon(ms: u64) -> Timestamp {
    Timestamp::from_ms(NOON.as_ms() + ms)
}

/// The session that the request with `edits` makes at noon.
pub(super) fn session(edits: &str) -> Session {
    let (body, mut problems) = (table::body(NEW, edits), FieldProblems::new());
    let object = Object::parse(body.as_bytes(), &mut problems).expect("the body is JSON");
    let new = create(&object, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    new.create(NOON.as_ms(), NOON)
}

/// The session after commands, each so many milliseconds after noon.
pub(super) fn after(mut session: Session, commands: &[(u64, Command)]) -> Session {
    for (ms, command) in commands {
        session = judge(&session, command, &Precondition::default(), after_noon(*ms)).session;
    }
    session
}

/// A switch by rotation.
pub(super) const SWITCH: Command = Command::Switch { next: None, current: None };
