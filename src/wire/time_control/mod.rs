//! Time controls as clients write them: an object, or a short text as people write it on a notice board. Both come to the
//! same, which is what is written back. Does not know sessions.

mod bounds;
mod lexer;
mod notation;
mod object;
mod pgn;
mod prefixed;
mod report;
mod united;
mod us_chess;
mod write_control;

use crate::engine::{Control, Segments};

use super::json::{self, Raw};
use super::json_values::{self, FieldError, field_error};
use super::validation::{FieldProblems, ProblemCode};
use report::report;

pub(super) use bounds::LENGTH_MAX;
pub use write_control::control_text;
pub(super) use write_control::write_control;

/// The longest text, in characters.
const NOTATION_LEN_MAX: usize = 64;

/// Reads the JSON value of the member `field`: `Some(None)` is the text that says that there is no control. `None` when there
/// are problems.
pub fn time_control(value: &str, field: &str, problems: &mut FieldProblems) -> Option<Option<Control>> {
    match json::whole(value) {
        Ok(value) => read(value, field, problems),
        Err(_) => {
            report(problems, field, field_error(ProblemCode::InvalidType, "Expected object or string"));
            None
        }
    }
}

/// Reads a control as it stands in a state: what somebody's multiplier made of one may lie above its cap.
pub(super) fn stored(value: &str) -> Option<Control> {
    let mut problems = FieldProblems::new();
    let control = object::read(json::whole(value).ok()?, "", &mut problems)?;
    bounds::check_lengths(&control, &mut |path, field_error| report(&mut problems, path, field_error));
    problems.is_empty().then_some(control)
}

/// What is wrong with what a multiplier made of a control, or of the clock that begins with it; `None` when nothing is.
pub(super) fn multiplied(control: &Control, clock: &Segments) -> Option<FieldError> {
    let mut first = None;
    let mut report = |_: &str, field_error| first = first.take().or(Some(field_error));
    bounds::check_lengths(control, &mut report);
    bounds::check_turn(clock, control, &mut report);
    first
}

pub(super) fn read(value: Raw<'_>, field: &str, problems: &mut FieldProblems) -> Option<Option<Control>> {
    let found = problems.len();
    let control = match value.get().as_bytes().first() {
        Some(b'{') => Some(object::read(value, field, problems)?),
        Some(b'"') => match from_text(value) {
            Ok(control) => control,
            Err(field_error) => {
                report(problems, field, field_error);
                return None;
            }
        },
        Some(_) | None => {
            report(problems, field, json_values::unexpected("object or string", value));
            return None;
        }
    };
    if let Some(control) = &control {
        let is_text = value.get().starts_with('"');
        bounds::check(control, &mut |path, field_error| {
            let whole = is_text || path.is_empty();
            let place = if whole { field.to_owned() } else { format!("{field}.{path}") };
            report(problems, &place, field_error);
        });
    }
    (problems.len() == found).then_some(control)
}

fn from_text(value: Raw<'_>) -> Result<Option<Control>, FieldError> {
    let text = json_values::string(value)?;
    if text.chars().count() > NOTATION_LEN_MAX {
        return Err(field_error(ProblemCode::TooBig, format!("Must have at most {NOTATION_LEN_MAX} characters")));
    }
    notation::read(&text).map_err(|why| field_error(ProblemCode::InvalidFormat, why))
}
