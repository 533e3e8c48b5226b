//! What a control must keep to, however it was written: the limits of each length, and which systems may stand where. Does
//! not know how it was written.

use crate::engine::{Control, Millis, Segments, StageSystem, System};

use super::super::json_values::{FieldError, field_error};
use super::super::validation::ProblemCode;

/// 365 days.
pub(in crate::wire) const LENGTH_MAX: u64 = 31_536_000_000;
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

/// Reports what is wrong with a control as it was given.
pub(super) fn check(control: &Control, report: &mut Report<'_>) {
    let mut is_sound = true;
    let mut tell = |path: &str, field_error: FieldError| {
        is_sound = false;
        report(path, field_error);
    };
    check_lengths(control, &mut tell);
    for (position, one) in control.given().iter().enumerate() {
        if let System::Fischer { base, cap: Some(cap), .. } | System::Bank { bank: base, cap: Some(cap), .. } =
            one.system
            && cap < base
        {
            // A cap below what a clock begins with would be reached before anything is given.
            let name = if matches!(one.system, System::Bank { .. }) { "bank_ms" } else { "base_ms" };
            let field = format!("{}cap_ms", before(control, position));
            tell(&field, field_error(ProblemCode::Conflict, format!("Must not be below {name}")));
        }
    }
    if is_sound {
        check_turn(&Segments::new(control), control, report);
    }
}

/// Reports a first turn that is too short.
pub(super) fn check_turn(clock: &Segments, control: &Control, report: &mut Report<'_>) {
    let least = Millis::new(TURN_MIN);
    if clock.budget(control).is_some_and(|budget| budget < least) {
        report("", field_error(ProblemCode::TooSmall, format!("A first turn must have at least {TURN_MIN} ms")));
    }
}

/// Where the members of a stage are in an object.
fn before(control: &Control, position: usize) -> String {
    if is_staged(control) { format!("stages.{position}.") } else { String::new() }
}

fn is_staged(control: &Control) -> bool {
    let given = control.given();
    given.len() > 1 || control.repeats() || given.iter().any(|one| one.moves.is_some())
}

/// Reports which lengths are beyond their limits, and which systems stand where they may not.
pub(super) fn check_lengths(control: &Control, report: &mut Report<'_>) {
    let given = control.given();
    if given.len() > STAGES_MAX {
        report("stages", field_error(ProblemCode::TooBig, format!("Must have at most {STAGES_MAX} entries")));
        return;
    }
    for (position, one) in given.iter().enumerate() {
        let before = before(control, position);
        let mut tell = |name: &str, field_error: FieldError| report(&format!("{before}{name}"), field_error);
        lengths(one.system, &mut tell);
        if let Some(moves) = one.moves {
            within(&mut tell, "moves", moves, 1, MOVES_MAX);
        }
        if is_staged(control) {
            place(control, position, *one, &mut tell);
        }
    }
}

/// What a stage may be, by where it stands.
fn place(control: &Control, position: usize, one: StageSystem, report: &mut Report<'_>) {
    let is_last = position + 1 == control.given().len();
    match one.system {
        System::Hourglass { .. } => {
            report("system", field_error(ProblemCode::Conflict, "An hourglass has no stages"));
        }
        System::Byoyomi { .. } | System::Canadian { .. } | System::PerMove { .. } | System::Overtime { .. }
            if !is_last =>
        {
            let message = format!("{} must be the last stage", one.system.name());
            report("system", field_error(ProblemCode::Conflict, message));
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
        report("moves", field_error(ProblemCode::Conflict, message));
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
            capped(report, cap);
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
            capped(report, cap);
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

/// Above what a clock begins with, or else nothing would be given.
fn capped(report: &mut Report<'_>, cap: Option<Millis>) {
    if let Some(cap) = cap {
        within(report, "cap_ms", cap.as_ms(), 0, LENGTH_MAX);
    }
}
