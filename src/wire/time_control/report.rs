//! A problem of one member, into the list of all. Does not know what a right one is.

use super::super::json_values::FieldError;
use super::super::validation::{self, FieldProblem, FieldProblems};

/// Adds what is wrong with `field`.
pub(super) fn report(problems: &mut FieldProblems, field: &str, field_error: FieldError) {
    validation::add(problems, || FieldProblem {
        field: field.to_owned(),
        message: field_error.message,
        code: field_error.code,
    });
}
