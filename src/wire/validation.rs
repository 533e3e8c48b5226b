//! What is wrong with a request, all of it at once. Does not know what a right one is.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// The kind of a problem, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemCode {
    /// The value is missing or of another JSON type.
    InvalidType,
    /// The text is no UUID.
    InvalidFormat,
    /// The value is none of those that are allowed.
    InvalidValue,
    /// Below the least, or too few.
    TooSmall,
    /// Above the most, or too many.
    TooBig,
    /// It cannot be together with something else that the request says.
    Conflict,
    /// There are more problems than are listed.
    Truncated,
}

impl ProblemCode {
    /// The code's name to clients.
    pub const fn name(self) -> &'static str {
        match self {
            ProblemCode::InvalidType => "invalid_type",
            ProblemCode::InvalidFormat => "invalid_format",
            ProblemCode::InvalidValue => "invalid_value",
            ProblemCode::TooSmall => "too_small",
            ProblemCode::TooBig => "too_big",
            ProblemCode::Conflict => "conflict",
            ProblemCode::Truncated => "truncated",
        }
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// Where: names and positions joined by dots; empty for the body itself.
    pub field: String,
    /// What, for a person.
    pub message: Cow<'static, str>,
    /// What, for a program.
    pub code: ProblemCode,
}

/// All that is wrong, in the order in which the contract lists the fields.
pub type FieldProblems = Vec<FieldProblem>;

/// How many problems are listed; one more says that there are others.
pub(super) const PROBLEMS_MAX: usize = 32;

/// How many problems of a list are found before the rest of it is skipped.
pub(super) const ENOUGH: usize = PROBLEMS_MAX + 1;

/// Adds one more, if it is still listed.
pub(super) fn add(problems: &mut FieldProblems, problem: impl FnOnce() -> FieldProblem) {
    match problems.len() {
        len if len < PROBLEMS_MAX => problems.push(problem()),
        PROBLEMS_MAX => {
            let message = format!("There are more than {PROBLEMS_MAX} problems").into();
            problems.push(FieldProblem { field: String::new(), message, code: ProblemCode::Truncated });
        }
        _ => {}
    }
}
