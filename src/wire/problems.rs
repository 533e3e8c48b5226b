//! What is wrong with a request, all of it at once. Does not know what a right one is.

use std::borrow::Cow;

/// The kind of a problem, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
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
}

impl Code {
    /// The code's name to clients.
    pub const fn name(self) -> &'static str {
        match self {
            Code::InvalidType => "invalid_type",
            Code::InvalidFormat => "invalid_format",
            Code::InvalidValue => "invalid_value",
            Code::TooSmall => "too_small",
            Code::TooBig => "too_big",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: names and places joined by dots; empty for the body itself.
    pub field: String,
    /// What, for a person.
    pub message: Cow<'static, str>,
    /// What, for a program.
    pub code: Code,
}

/// All that is wrong, in the order in which the contract lists the fields.
pub type Problems = Vec<Problem>;

/// How many problems are looked for in a list before the rest of it is left alone.
pub(super) const ENOUGH: usize = 64;
