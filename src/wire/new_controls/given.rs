//! What a request says of clocks and time controls, as it was given. Does not know what fits together.

use crate::engine::{Control, GroupId, Millis, Mode, NewParticipant, OnTimeout, StageSystem, System};

use super::super::json_object::Fields;
use super::super::json_values::{self, FieldError, field_error};
use super::super::time_control::{self, LENGTH_MAX};
use super::super::validation::{self, FieldProblem, FieldProblems, ProblemCode};

/// Percent of a control's lengths that somebody has.
const MULTIPLIER_MIN: u64 = 10;
const MULTIPLIER_MAX: u64 = 1_000;
pub(super) const WHOLE: u64 = 100;

/// A control as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) struct GivenControl {
    pub(super) control: Control,
    /// A text has no members that a problem could be at.
    is_text: bool,
    pub(super) field: String,
}

impl GivenControl {
    /// Where a member of it is.
    pub(super) fn at(&self, path: &str) -> String {
        if self.is_text { self.field.clone() } else { format!("{}.{path}", self.field) }
    }

    pub(super) fn is_staged(&self) -> bool {
        self.control.given().len() > 1 || self.control.repeats()
    }

    /// Its stages, each with where it is.
    pub(super) fn stages(&self) -> impl Iterator<Item = (String, StageSystem)> {
        let before = |at: usize| if self.is_staged() { format!("stages.{at}.") } else { String::new() };
        self.control.given().iter().enumerate().map(move |(at, one)| (before(at), *one))
    }

    /// Where it says that overtime has no end.
    pub(super) fn endless_stage(&self) -> Option<String> {
        let is_endless = |system: System| matches!(system, System::Overtime { overtime: None, .. });
        self.stages().find(|(_, one)| is_endless(one.system)).map(|(before, _)| format!("{before}overtime_ms"))
    }
}

/// What was given for a clock of somebody's, or of a group's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::wire) struct GivenClock {
    pub(super) control: Option<GivenControl>,
    pub(in crate::wire) total_time: Option<Millis>,
    pub(super) multiplier: Option<u64>,
    pub(super) extra: Option<Millis>,
}

impl GivenClock {
    /// A clock of which nothing is said but its time.
    pub(in crate::wire) fn of_time(total_time: Millis) -> Self {
        Self { total_time: Some(total_time), ..Self::default() }
    }

    pub(in crate::wire) fn has_control(&self) -> bool {
        self.control.is_some()
    }

    /// Whether anything is said but the time.
    pub(in crate::wire) fn says_more(&self) -> bool {
        self.first_member().is_some()
    }

    /// The first member, but for the time.
    pub(super) fn first_member(&self) -> Option<&'static str> {
        match (&self.control, self.multiplier, self.extra) {
            (Some(_), _, _) => Some("time_control"),
            (None, Some(_), _) => Some("multiplier_pct"),
            (None, None, Some(_)) => Some("extra_ms"),
            (None, None, None) => None,
        }
    }
}

/// Reads the member `time_control` of what is called `inside`; `None` when there is none, or it is a text that says so.
pub(in crate::wire) fn given_control(fields: &mut Fields<'_, '_, '_>) -> Option<GivenControl> {
    let (value, field) = fields.raw("time_control")?;
    let is_text = value.get().starts_with('"');
    let control = time_control::read(value, &field, fields.problems())??;
    Some(GivenControl { control, is_text, field })
}

/// Reads what is given for a clock. Its time is required unless a control says it.
pub(in crate::wire) fn given_clock(
    fields: &mut Fields<'_, '_, '_>,
    is_controlled: bool,
    time: impl FnOnce(&mut Fields<'_, '_, '_>) -> Option<Millis>,
) -> GivenClock {
    let control = given_control(fields);
    let total_time = if is_controlled || control.is_some() {
        fields.optional("total_time_ms", |value| json_values::millis(value, 0, LENGTH_MAX))
    } else {
        time(fields)
    };
    let multiplier =
        fields.optional("multiplier_pct", |value| json_values::integer(value, MULTIPLIER_MIN, MULTIPLIER_MAX));
    let extra = fields.optional("extra_ms", |value| json_values::millis(value, 0, LENGTH_MAX));
    GivenClock { control, total_time, multiplier, extra }
}

/// What a request says of its clocks.
pub(in crate::wire) struct GivenSession<'g> {
    pub(in crate::wire) mode: Mode,
    pub(in crate::wire) on_timeout: OnTimeout,
    pub(in crate::wire) control: Option<&'g GivenControl>,
    pub(in crate::wire) total_time: Option<Millis>,
    pub(in crate::wire) participants: &'g [NewParticipant],
    /// One for each participant, or none at all.
    pub(in crate::wire) clocks: &'g [GivenClock],
    pub(in crate::wire) groups: &'g [(GroupId, GivenClock)],
}

/// Adds a problem.
pub(super) fn add(problems: &mut FieldProblems, field: String, field_error: FieldError) {
    validation::add(problems, || FieldProblem { field, message: field_error.message, code: field_error.code });
}

pub(super) fn conflict(problems: &mut FieldProblems, field: String, message: &'static str) {
    add(problems, field, field_error(ProblemCode::Conflict, message));
}
