//! What a control must keep to, however it was written: the limits of each length, and which systems may stand where. Does
//! not know how it was written.

use crate::engine::{Control, Millis, Segments, StageSystem, System};

use super::super::json_values::{FieldError, field_error};
use super::super::validation::ProblemCode;

/// 365 days.
const LENGTH_MAX: u64 = 31_536_000_000;
/// 7 days.
const INCREMENT_MAX: u64 = 604_800_000;
const PERIODS_MAX: u64 = 100;
const MOVES_MAX: u64 = 1_000;
/// Points of a penalty at most.
const POINTS_MAX: u64 = 1_000_000;
/// How many stages there may be.
pub(super) const STAGES_MAX: usize = 8;
/// What a first turn has at least, and a stage that ends with its time.
const TURN_MIN: u64 = 1_000;

/// Who hears of a problem: the path of the member inside the control, and what is wrong.
type Report<'r> = dyn FnMut(&str, FieldError) + 'r;

/// Reports what is wrong with a control.
pub(super) fn check(control: &Control, report: &mut Report<'_>) {
    let given = control.given();
    if given.len() > STAGES_MAX {
        report("stages", field_error(ProblemCode::TooBig, format!("Must have at most {STAGES_MAX} entries")));
        return;
    }
    let is_staged = given.len() > 1 || control.repeats() || given.iter().any(|one| one.moves.is_some());
    let mut is_sound = true;
    for (position, one) in given.iter().enumerate() {
        let before = if is_staged { format!("stages.{position}.") } else { String::new() };
        let mut tell = |name: &str, field_error: FieldError| {
            is_sound = false;
            report(&format!("{before}{name}"), field_error);
        };
        lengths(one.system, &mut tell);
        if let Some(moves) = one.moves {
            within(&mut tell, "moves", moves, 1, MOVES_MAX);
        }
        if is_staged {
            place(control, position, *one, &mut tell);
        }
    }
    let least = Millis::new(TURN_MIN);
    if is_sound && Segments::new(control).budget(control).is_some_and(|budget| budget < least) {
        report("", field_error(ProblemCode::TooSmall, format!("A first turn must have at least {TURN_MIN} ms")));
    }
}

/// What a stage may be, by where it stands.
fn place(control: &Control, position: usize, one: StageSystem, report: &mut Report<'_>) {
    let is_last = position + 1 == control.given().len();
    match one.system {
        System::Hourglass { .. } => {
            report("system", field_error(ProblemCode::InvalidValue, "An hourglass has no stages"));
        }
        System::Byoyomi { .. } | System::Canadian { .. } | System::PerMove { .. } | System::Overtime { .. }
            if !is_last =>
        {
            let message = format!("{} must be the last stage", one.system.name());
            report("system", field_error(ProblemCode::InvalidValue, message));
        }
        System::Absolute { base }
        | System::Fischer { base, .. }
        | System::Delay { base, .. }
        | System::Bronstein { base, .. }
        | System::Bank { bank: base, .. }
            if !is_last && one.moves.is_none() && base < Millis::new(TURN_MIN) =>
        {
            let name = if matches!(one.system, System::Bank { .. }) { "bank_ms" } else { "base_ms" };
            report(name, field_error(ProblemCode::TooSmall, "A stage without moves must have at least 1000 ms"));
        }
        System::Absolute { .. }
        | System::Fischer { .. }
        | System::Delay { .. }
        | System::Bronstein { .. }
        | System::Bank { .. }
        | System::Byoyomi { .. }
        | System::Canadian { .. }
        | System::PerMove { .. }
        | System::Overtime { .. } => {}
    }
    if is_last && one.moves.is_some() != control.repeats() {
        let message = match control.repeats() {
            true => "A last stage that repeats must say after how many moves",
            false => "A last stage that does not repeat has no end",
        };
        report("moves", field_error(ProblemCode::InvalidValue, message));
    }
}

fn within(report: &mut Report<'_>, name: &str, value: u64, least: u64, most: u64) {
    if value < least {
        report(name, field_error(ProblemCode::TooSmall, format!("Must be at least {least}")));
    } else if value > most {
        report(name, field_error(ProblemCode::TooBig, format!("Must be at most {most}")));
    }
}

/// The limits of each length of a system.
fn lengths(system: System, report: &mut Report<'_>) {
    let mut base = |name: &str, value: Millis| within(report, name, value.as_ms(), 0, LENGTH_MAX);
    match system {
        System::Absolute { base: main } => base("base_ms", main),
        System::Fischer { base: main, increment, cap, .. } => {
            base("base_ms", main);
            gain(report, "increment_ms", increment);
            capped(report, "base_ms", main, cap);
        }
        System::Delay { base: main, delay }
        | System::Bronstein { base: main, delay, .. }
        | System::Hourglass { base: main, delay } => {
            base("base_ms", main);
            gain(report, "delay_ms", delay);
        }
        System::PerMove { move_time } => base("move_ms", move_time),
        System::Byoyomi { base: main, period, periods, increment } => {
            base("base_ms", main);
            within(report, "period_ms", period.as_ms(), 1, LENGTH_MAX);
            within(report, "periods", periods, 1, PERIODS_MAX);
            gain(report, "increment_ms", increment);
        }
        System::Canadian { base: main, period, moves } => {
            base("base_ms", main);
            within(report, "period_ms", period.as_ms(), 1, LENGTH_MAX);
            within(report, "moves", moves, 1, MOVES_MAX);
        }
        System::Bank { move_time, bank, increment, cap } => {
            base("move_ms", move_time);
            base("bank_ms", bank);
            gain(report, "increment_ms", increment);
            capped(report, "bank_ms", bank, cap);
        }
        System::Overtime { base: main, overtime, penalty, increment } => {
            base("base_ms", main);
            base("overtime_ms", overtime.unwrap_or_default());
            gain(report, "increment_ms", increment);
            if let Some(penalty) = penalty {
                within(report, "penalty.per_ms", penalty.per.as_ms(), 1, LENGTH_MAX);
                within(report, "penalty.points", penalty.points, 0, POINTS_MAX);
            }
        }
    }
}

fn gain(report: &mut Report<'_>, name: &str, value: Millis) {
    within(report, name, value.as_ms(), 0, INCREMENT_MAX);
}

/// A cap below what a clock begins with would be reached before anything is given.
fn capped(report: &mut Report<'_>, name: &str, begin: Millis, cap: Option<Millis>) {
    let Some(cap) = cap else { return };
    within(report, "cap_ms", cap.as_ms(), 0, LENGTH_MAX);
    if cap < begin {
        report("cap_ms", field_error(ProblemCode::InvalidValue, format!("Must not be below {name}")));
    }
}
