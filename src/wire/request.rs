//! The requests of the contract: their fields, in the order in which problems are listed, and the limits
//! of each value. Does not know sessions that exist.

use crate::engine::{GroupId, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Patch, SessionId};

use super::json::Raw;
use super::json_object::{self, Fields, Object};
use super::json_values::{self, FieldResult, field_error};
use super::metadata::{self, Merge};
use super::new_controls::{self, GivenClock, GivenSession};
use super::strict;
use super::time_control::LENGTH_MAX;
use super::validation::{self, FieldProblem, FieldProblems, PROBLEMS_MAX, ProblemCode};

const TIME_MS_MIN: u64 = 1_000;
const TIME_MS_MAX: u64 = 86_400_000;
const INCREMENT_MS_MAX: u64 = 60_000;
const PARTICIPANTS_MAX: usize = 1_000;
const WARNINGS_MAX: usize = 8;
/// The largest integer that every JSON reader keeps exactly.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// What a switch asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchRequest {
    /// Whose turn is to begin.
    pub next: Option<ParticipantId>,
    /// Whose turn is to end.
    pub current: Option<ParticipantId>,
    /// The version that the session must have.
    pub expected_version: Option<u64>,
}

/// What a PATCH asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchRequest {
    /// The settings. Metadata is in `merge`, since what it becomes depends on what it is.
    pub settings: Patch,
    /// The change of metadata.
    pub merge: Option<Merge>,
    /// The version that the session must have.
    pub expected_version: Option<u64>,
}

/// The id that a path names a session by; a problem when it is none.
pub fn session_id(id: Option<SessionId>, problems: &mut FieldProblems) -> Option<SessionId> {
    if id.is_none() {
        problems.push(FieldProblem {
            field: "id".into(),
            message: "Must be a UUID".into(),
            code: ProblemCode::InvalidFormat,
        });
    }
    id
}

/// Reads a request to create a session; `None` when there are problems.
pub fn create(body: &Object<'_>, problems: &mut FieldProblems) -> Option<NewSession> {
    create_with(OnTimeout::default(), body, problems)
}

/// The same, where a flag does `on_timeout` unless the request says something else.
pub fn create_with(on_timeout: OnTimeout, body: &Object<'_>, problems: &mut FieldProblems) -> Option<NewSession> {
    let found = problems.len();
    let mut fields = Fields::of_body(body, problems);
    let id = fields.required("session_id", json_values::uuid);
    let mode = fields.required("sync_mode", |value| json_values::one_of(value, &Mode::ALL, Mode::name));
    let before = fields.problems().len();
    let control = new_controls::given_control(&mut fields);
    let has_control = control.is_some() || fields.problems().len() > before;
    let participants = fields.required("participants", |value| json_values::array_of(value, 1, PARTICIPANTS_MAX));
    let participants = participants.and_then(|values| self::participants(&values, has_control, fields.problems()));
    let (participants, clocks) = participants.unzip();
    let is_controlled = has_control || clocks.iter().flatten().any(GivenClock::has_control);
    let total_time = match is_controlled {
        false => fields.required("total_time_ms", time),
        true => fields.optional("total_time_ms", |value| json_values::millis(value, TIME_MS_MIN, LENGTH_MAX)),
    };
    let time_per_cycle = fields.optional("time_per_cycle_ms", time);
    let increment = fields.optional("increment_ms", increment);
    let max_time = fields.optional("max_time_ms", time);
    let metadata = fields.optional("metadata", metadata::whole);
    let on_timeout_given = fields.optional("on_timeout", self::on_timeout);
    let warn_at = fields.optional("warn_at_ms", |value| json_values::array_of(value, 0, WARNINGS_MAX));
    let warn_at = warn_at.map(|values| thresholds(&values, fields.problems()));
    let groups = fields.optional("groups", |value| json_values::array_of(value, 0, PARTICIPANTS_MAX));
    let groups = groups.map(|values| self::groups(&values, participants.as_deref(), is_controlled, fields.problems()));
    if is_controlled || groups.iter().flatten().any(|(_, clock)| clock.has_control()) {
        let given = [
            ("increment_ms", increment.is_some()),
            ("time_per_cycle_ms", time_per_cycle.is_some()),
            ("max_time_ms", max_time.is_some()),
        ];
        for (name, _) in given.iter().filter(|(_, is_given)| *is_given) {
            fields.report(name, field_error(ProblemCode::Conflict, "The time_control says it"));
        }
    }
    if problems.len() > found {
        return None;
    }
    let groups = groups.unwrap_or_default();
    let (participants, clocks) = (participants?, clocks.unwrap_or_default());
    let on_timeout = on_timeout_given.unwrap_or(on_timeout);
    let given = GivenSession {
        mode: mode?,
        on_timeout,
        control: control.as_ref(),
        total_time,
        participants: &participants,
        clocks: &clocks,
        groups: &groups,
    };
    let controls = given.new_controls(problems);
    if problems.len() > found {
        return None;
    }
    Some(NewSession {
        id: SessionId(id?),
        mode: mode?,
        participants,
        groups: groups.iter().map(|(id, clock)| (*id, clock.total_time.unwrap_or_default())).collect(),
        total_time: total_time.unwrap_or_default(),
        time_per_cycle,
        increment: increment.unwrap_or_default(),
        max_time,
        on_timeout,
        warn_at: warn_at.unwrap_or_default().into(),
        metadata,
        controls: controls.map(Box::new),
    })
}

/// Reads a switch; `None` when there are problems.
pub fn switch(body: &Object<'_>, problems: &mut FieldProblems) -> Option<SwitchRequest> {
    let found = problems.len();
    let mut fields = Fields::of_body(body, problems);
    let next = fields.optional("next_participant_id", json_values::uuid).map(ParticipantId);
    let current = fields.optional("current_participant_id", json_values::uuid).map(ParticipantId);
    let expected_version = fields.optional("expected_version", version);
    (problems.len() == found).then_some(SwitchRequest { next, current, expected_version })
}

/// Reads a PATCH; `None` when there are problems.
pub fn patch(body: &Object<'_>, problems: &mut FieldProblems) -> Option<PatchRequest> {
    const NAMES: [&str; 7] = [
        "metadata",
        "increment_ms",
        "time_per_cycle_ms",
        "max_time_ms",
        "on_timeout",
        "warn_at_ms",
        "expected_version",
    ];
    let found = problems.len();
    let mut fields = Fields::of_body(body, problems);
    let merge = fields.optional("metadata", metadata::change);
    let increment = fields.optional("increment_ms", |value| or_default(value, increment));
    let time_per_cycle = fields.optional("time_per_cycle_ms", |value| or_default(value, |value| time(value).map(Some)));
    let max_time = fields.optional("max_time_ms", |value| or_default(value, |value| time(value).map(Some)));
    let on_timeout = fields.optional("on_timeout", |value| or_default(value, on_timeout));
    let warn_at =
        fields.optional("warn_at_ms", |value| or_default(value, |value| json_values::array_of(value, 0, WARNINGS_MAX)));
    let warn_at = warn_at.map(|values| thresholds(&values, fields.problems()).into());
    let expected_version = fields.optional("expected_version", version);
    let unknown = format!("Unknown field; can be changed: {}", NAMES[..6].join(", "));
    for name in body.names().filter(|name| !NAMES.contains(&&**name)).take(PROBLEMS_MAX + 1) {
        fields.report(strict::told(&name), field_error(ProblemCode::InvalidValue, unknown.clone()));
    }
    let settings = Patch { metadata: None, increment, time_per_cycle, max_time, on_timeout, warn_at };
    (problems.len() == found).then_some(PatchRequest { settings, merge, expected_version })
}

/// The meaning of a `null` in a PATCH.
fn or_default<'a, T: Default>(value: Raw<'a>, look: impl FnOnce(Raw<'a>) -> FieldResult<T>) -> FieldResult<T> {
    if value.get() == "null" { Ok(T::default()) } else { look(value) }
}

fn time(value: Raw<'_>) -> FieldResult<Millis> {
    json_values::millis(value, TIME_MS_MIN, TIME_MS_MAX)
}

fn increment(value: Raw<'_>) -> FieldResult<Millis> {
    json_values::millis(value, 0, INCREMENT_MS_MAX)
}

fn version(value: Raw<'_>) -> FieldResult<u64> {
    json_values::integer(value, 1, INTEGER_MAX)
}

fn on_timeout(value: Raw<'_>) -> FieldResult<OnTimeout> {
    json_values::one_of(value, &OnTimeout::ALL, OnTimeout::name)
}

/// `None` when there are problems.
fn participants(
    values: &[Raw<'_>],
    is_controlled: bool,
    problems: &mut FieldProblems,
) -> Option<(Vec<NewParticipant>, Vec<GivenClock>)> {
    let found = problems.len();
    let mut seen = std::collections::HashSet::with_capacity(values.len());
    let mut participants = Vec::with_capacity(values.len());
    // Most say nothing but the time, which stands with the participants.
    let mut clocks = Vec::new();
    for (position, &value) in values.iter().enumerate() {
        if problems.len() >= validation::ENOUGH {
            break;
        }
        let Some(object) = entry(value, "participants", position, problems) else { continue };
        let mut fields = Fields::inside(&object, "participants", position, problems);
        let id = fields.required("participant_id", |value| {
            let id = json_values::uuid(value)?;
            if seen.insert(id) {
                Ok(id)
            } else {
                Err(field_error(ProblemCode::InvalidValue, format!("Duplicate participant_id {id}")))
            }
        });
        let index = fields.required("participant_index", |value| json_values::integer(value, 0, INTEGER_MAX));
        let clock =
            new_controls::given_clock(&mut fields, is_controlled, |fields| fields.required("total_time_ms", time));
        let group = fields.optional("group_id", json_values::uuid).map(GroupId);
        if let (Some(id), Some(index)) = (id, index) {
            let total_time = clock.total_time.unwrap_or_default();
            participants.push(NewParticipant { id: ParticipantId(id), index, total_time, group });
        }
        if is_controlled || !clocks.is_empty() || clock.says_more() {
            let before = participants.iter().take(position).skip(clocks.len());
            clocks.extend(before.map(|one: &NewParticipant| GivenClock::of_time(one.total_time)));
            clocks.push(clock);
        }
    }
    (problems.len() == found).then_some((participants, clocks))
}

/// Which groups there are is not known when `participants` are not.
fn groups(
    values: &[Raw<'_>],
    participants: Option<&[NewParticipant]>,
    is_controlled: bool,
    problems: &mut FieldProblems,
) -> Vec<(GroupId, GivenClock)> {
    let known: Option<std::collections::HashSet<_>> =
        participants.map(|participants| participants.iter().filter_map(|given| given.group).collect());
    let mut seen = std::collections::HashSet::with_capacity(values.len());
    let mut groups = Vec::with_capacity(values.len());
    for (position, &value) in values.iter().enumerate() {
        if problems.len() >= validation::ENOUGH {
            break;
        }
        let Some(object) = entry(value, "groups", position, problems) else { continue };
        let mut fields = Fields::inside(&object, "groups", position, problems);
        let id = fields.required("group_id", |value| {
            let id = GroupId(json_values::uuid(value)?);
            if known.as_ref().is_some_and(|known| !known.contains(&id)) {
                return Err(field_error(ProblemCode::InvalidValue, format!("No participant is in group {id}")));
            }
            if seen.insert(id) {
                Ok(id)
            } else {
                Err(field_error(ProblemCode::InvalidValue, format!("Duplicate group_id {id}")))
            }
        });
        let clock =
            new_controls::given_clock(&mut fields, is_controlled, |fields| fields.required("total_time_ms", time));
        groups.extend(id.map(|id| (id, clock)));
    }
    groups
}

fn thresholds(values: &[Raw<'_>], problems: &mut FieldProblems) -> Vec<Millis> {
    let mut thresholds = Vec::with_capacity(values.len());
    for (position, &value) in values.iter().enumerate() {
        match json_values::millis(value, 1, TIME_MS_MAX) {
            Ok(threshold) => thresholds.push(threshold),
            Err(field_error) => {
                let field = format!("warn_at_ms.{position}");
                validation::add(problems, || FieldProblem {
                    field,
                    message: field_error.message,
                    code: field_error.code,
                });
            }
        }
    }
    thresholds
}

/// An entry of an array of objects.
fn entry<'a>(value: Raw<'a>, name: &str, position: usize, problems: &mut FieldProblems) -> Option<Object<'a>> {
    match json_object::object(value) {
        Ok(object) => Some(object),
        Err(field_error) => {
            let field = format!("{name}.{position}");
            validation::add(problems, || FieldProblem { field, message: field_error.message, code: field_error.code });
            None
        }
    }
}
