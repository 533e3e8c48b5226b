//! A control as an object: `system`, and the members of that system. A member that the system does not have is refused, since
//! a clock that runs otherwise than somebody meant is found out too late. Does not know the limits.

use std::borrow::Cow;

use crate::engine::{Control, Millis, Penalty, StageSystem, System};

use super::super::json::{self, Raw};
use super::super::json_values::{self, FieldResult, field_error};
use super::super::validation::{self, FieldProblems, ProblemCode};
use super::bounds::STAGES_MAX;
use super::report::report;

/// The largest integer that every JSON reader keeps exactly; the limits come after.
const INTEGER_MAX: u64 = (1 << 53) - 1;
/// The longest name of an unknown member that is quoted, in bytes.
const NAME_LEN_MAX: usize = 128;
const SYSTEMS: [&str; 12] = [
    "absolute",
    "fischer",
    "delay",
    "bronstein",
    "per_move",
    "byoyomi",
    "canadian",
    "bank",
    "overtime",
    "hourglass",
    "correspondence",
    "stages",
];

/// Reads an object; `None` when there are problems.
pub(super) fn read(value: Raw<'_>, field: &str, problems: &mut FieldProblems) -> Option<Control> {
    let found = problems.len();
    let mut members = ControlMembers::of(value, field, problems)?;
    let name = members.required("system", system_name)?;
    let control = if name == "stages" {
        let repeat = members.or("repeat", false, boolean);
        let stages = members.required("stages", |value| json_values::array_of(value, 1, STAGES_MAX));
        members.refuse_others();
        let mut given = Vec::new();
        for (position, value) in stages?.into_iter().enumerate() {
            given.extend(stage(value, &format!("{field}.stages.{position}"), problems));
        }
        (problems.len() == found).then(|| Control::staged(given.into(), repeat.unwrap_or_default()))
    } else {
        let system = system(name, &mut members);
        members.refuse_others();
        system.map(Control::of)
    };
    control.filter(|_| problems.len() == found)
}

fn stage(value: Raw<'_>, field: &str, problems: &mut FieldProblems) -> Option<StageSystem> {
    let mut members = ControlMembers::of(value, field, problems)?;
    let name = members.required("system", system_name)?;
    if name == "stages" {
        let message = "A stage has no stages of its own";
        report(members.problems, &format!("{field}.system"), field_error(ProblemCode::InvalidValue, message));
        return None;
    }
    // In canadian the name is taken: it must be the last stage, which has no moves of its own.
    let moves = if name == "canadian" { None } else { members.or("moves", None, |value| number(value).map(Some))? };
    let system = system(name, &mut members);
    members.refuse_others();
    Some(StageSystem { moves, system: system? })
}

fn system(name: &str, members: &mut ControlMembers<'_, '_>) -> Option<System> {
    members.is_glass = name == "hourglass";
    let zero = Millis::ZERO;
    Some(match name {
        "absolute" => System::Absolute { base: members.length("base_ms")? },
        "fischer" => System::Fischer {
            base: members.length("base_ms")?,
            increment: members.length("increment_ms")?,
            cap: members.length_or_none("cap_ms")?,
            from_start: members.or("increment_at", false, |value| choice(value, ["end", "start"]))?,
        },
        "delay" => System::Delay { base: members.length("base_ms")?, delay: members.length("delay_ms")? },
        "bronstein" => System::Bronstein {
            base: members.length("base_ms")?,
            delay: members.length("delay_ms")?,
            flags_at_main: members.or("flag_at", false, |value| choice(value, ["delay", "main"]))?,
        },
        "per_move" => System::PerMove { move_time: members.length("move_ms")? },
        "byoyomi" => System::Byoyomi {
            base: members.length("base_ms")?,
            period: members.length("period_ms")?,
            periods: members.required("periods", number)?,
            increment: members.or("increment_ms", zero, length)?,
        },
        "canadian" => System::Canadian {
            base: members.length("base_ms")?,
            period: members.length("period_ms")?,
            moves: members.required("moves", number)?,
        },
        "bank" => System::Bank {
            move_time: members.length("move_ms")?,
            bank: members.length("bank_ms")?,
            increment: members.or("increment_ms", zero, length)?,
            cap: members.length_or_none("cap_ms")?,
        },
        "overtime" => System::Overtime {
            base: members.length("base_ms")?,
            overtime: members.length_or_none("overtime_ms")?,
            penalty: members.penalty()?,
            increment: members.or("increment_ms", zero, length)?,
        },
        "hourglass" => {
            System::Hourglass { base: members.length("base_ms")?, delay: members.or("delay_ms", zero, length)? }
        }
        _ => {
            let move_time = members.length("move_ms")?;
            match members.length_or_none("cap_ms")? {
                None => System::PerMove { move_time },
                Some(cap) => System::Fischer { base: cap, increment: move_time, cap: Some(cap), from_start: false },
            }
        }
    })
}

fn system_name(value: Raw<'_>) -> FieldResult<&'static str> {
    json_values::one_of(value, &SYSTEMS, |name| name)
}

fn length(value: Raw<'_>) -> FieldResult<Millis> {
    json_values::millis(value, 0, INTEGER_MAX)
}

fn number(value: Raw<'_>) -> FieldResult<u64> {
    json_values::integer(value, 0, INTEGER_MAX)
}

fn boolean(value: Raw<'_>) -> FieldResult<bool> {
    match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(json_values::unexpected("boolean", value)),
    }
}

/// Whether it is the second of two names.
fn choice(value: Raw<'_>, names: [&'static str; 2]) -> FieldResult<bool> {
    json_values::one_of(value, &[0, 1], |position: usize| names[position]).map(|position| position == 1)
}

/// The members of an object that were not asked for yet.
struct ControlMembers<'a, 'p> {
    left: Vec<(Cow<'a, str>, Raw<'a>)>,
    is_glass: bool,
    field: &'p str,
    problems: &'p mut FieldProblems,
}

impl<'a, 'p> ControlMembers<'a, 'p> {
    /// Of members with the same name the last counts, as in JavaScript.
    fn of(value: Raw<'a>, field: &'p str, problems: &'p mut FieldProblems) -> Option<Self> {
        let mut left: Vec<(Cow<'a, str>, Raw<'a>)> = Vec::new();
        let is_object = value.get().starts_with('{');
        let read = json::members(value.get(), |name, value| {
            let name = json_values::unescaped(name.literal).unwrap_or(Cow::Borrowed(name.literal));
            match left.iter().position(|(known, _)| *known == name) {
                Some(known) => left[known].1 = value,
                // More than these are not needed to say that there are too many.
                None if left.len() < validation::ENOUGH => left.push((name, value)),
                None => {}
            }
        });
        if !is_object || read.is_err() {
            report(problems, field, json_values::unexpected("object", value));
            return None;
        }
        Some(Self { left, is_glass: false, field, problems })
    }

    fn take(&mut self, name: &str) -> Option<Raw<'a>> {
        let position = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.swap_remove(position).1)
    }

    fn look<T>(&mut self, name: &str, value: Raw<'a>, look: impl FnOnce(Raw<'a>) -> FieldResult<T>) -> Option<T> {
        match look(value) {
            Ok(value) => Some(value),
            Err(field_error) => {
                report(self.problems, &format!("{}.{name}", self.field), field_error);
                None
            }
        }
    }

    fn required<T>(&mut self, name: &str, look: impl FnOnce(Raw<'a>) -> FieldResult<T>) -> Option<T> {
        let Some(value) = self.take(name) else {
            report(self.problems, &format!("{}.{name}", self.field), field_error(ProblemCode::InvalidType, "Required"));
            return None;
        };
        self.look(name, value, look)
    }

    /// A member that may be left out.
    fn or<T>(&mut self, name: &str, default: T, look: impl FnOnce(Raw<'a>) -> FieldResult<T>) -> Option<T> {
        match self.take(name) {
            Some(value) => self.look(name, value, look),
            None => Some(default),
        }
    }

    fn length(&mut self, name: &str) -> Option<Millis> {
        self.required(name, length)
    }

    /// Left out, or `null`.
    fn length_or_none(&mut self, name: &str) -> Option<Option<Millis>> {
        self.or(name, None, |value| if value.get() == "null" { Ok(None) } else { length(value).map(Some) })
    }

    fn penalty(&mut self) -> Option<Option<Penalty>> {
        let Some(value) = self.take("penalty").filter(|value| value.get() != "null") else { return Some(None) };
        let field = format!("{}.penalty", self.field);
        let mut members = ControlMembers::of(value, &field, self.problems)?;
        let per = members.length("per_ms");
        let points = members.required("points", number);
        members.refuse_others();
        Some(Some(Penalty { per: per?, points: points? }))
    }

    fn refuse_others(&mut self) {
        let is_glass = self.is_glass;
        let code = |name: &str| match name {
            // Other systems have them, and they cannot be together with the others that are there.
            "increment_ms" | "moves" | "stages" if is_glass => ProblemCode::Conflict,
            _ => ProblemCode::InvalidValue,
        };
        for (name, _) in std::mem::take(&mut self.left) {
            let name = &name[..name.floor_char_boundary(NAME_LEN_MAX)];
            let field = format!("{}.{name}", self.field);
            report(self.problems, &field, field_error(code(name), "Not a member of this system"));
        }
    }
}
