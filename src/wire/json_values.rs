//! Reading one JSON value as what a field must be: a string, a UUID, an integer within bounds. Does not know which field it
//! is of.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::engine::{Millis, Uuid};

use super::decimal::Decimal;
use super::json::{self, Raw};
use super::validation::ProblemCode;

/// What is wrong with one value.
pub(super) struct FieldError {
    pub(super) code: ProblemCode,
    pub(super) message: Cow<'static, str>,
}

pub(super) fn field_error(code: ProblemCode, message: impl Into<Cow<'static, str>>) -> FieldError {
    FieldError { code, message: message.into() }
}

/// The result of looking at one value.
pub(super) type FieldResult<T> = Result<T, FieldError>;

/// An array with `least` to `most` values.
pub(super) fn array_of(value: Raw<'_>, least: usize, most: usize) -> FieldResult<Vec<Raw<'_>>> {
    let wrong = || unexpected("array", value);
    if !value.get().starts_with('[') {
        return Err(wrong());
    }
    // It was read to its end before: what is too long need not be counted.
    let (mut values, mut is_too_long) = (Vec::new(), false);
    let each = |value| {
        is_too_long = values.len() == most;
        if is_too_long {
            return ControlFlow::Break(());
        }
        values.push(value);
        ControlFlow::Continue(())
    };
    json::elements(value.get(), each).map_err(|_| wrong())?;
    if is_too_long {
        return Err(field_error(ProblemCode::TooBig, format!("Must have at most {most} entries")));
    }
    if values.len() < least {
        return Err(field_error(
            ProblemCode::TooSmall,
            format!("Must have at least {least} entries, has {}", values.len()),
        ));
    }
    Ok(values)
}

/// A string without NUL and lone surrogates.
pub(super) fn string(value: Raw<'_>) -> FieldResult<Cow<'_, str>> {
    if value.get().starts_with('"') { text(value.get()) } else { Err(unexpected("string", value)) }
}

/// What a string's literal, quotes included, stands for.
pub(super) fn text(literal: &str) -> FieldResult<Cow<'_, str>> {
    match unescaped(literal) {
        Some(text) if text.contains('\0') => Err(field_error(ProblemCode::InvalidValue, "Must not contain NUL")),
        Some(text) => Ok(text),
        None => Err(field_error(ProblemCode::InvalidValue, "Must not contain lone surrogates")),
    }
}

/// The same of any string; `None` when it has lone surrogates.
pub(super) fn unescaped(literal: &str) -> Option<Cow<'_, str>> {
    let inside = &literal[1..literal.len() - 1];
    if inside.contains('\\') { serde_json::from_str(literal).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

/// A UUID.
pub(super) fn uuid(value: Raw<'_>) -> FieldResult<Uuid> {
    let not_one = || field_error(ProblemCode::InvalidFormat, "Must be a UUID");
    match string(value) {
        Ok(text) => Uuid::parse(&text).ok_or_else(not_one),
        Err(FieldError { code: ProblemCode::InvalidValue, .. }) => Err(not_one()),
        Err(field_error) => Err(field_error),
    }
}

/// An integer from `least` to `most`; `60000.0` and `6e4` are integers.
pub(super) fn integer(value: Raw<'_>, least: u64, most: u64) -> FieldResult<u64> {
    if kind(value) != "number" {
        return Err(unexpected("integer", value));
    }
    let (whole, has_more, is_below_zero) = match Decimal::plain(value.get()) {
        Some(whole) => (whole, false, false),
        None => {
            let number = Decimal::read(value.get());
            let (whole, has_more) = number.whole();
            (whole, has_more, number.is_negative && !number.is_zero())
        }
    };
    if is_below_zero || whole < least {
        return Err(field_error(ProblemCode::TooSmall, format!("Must be at least {least}")));
    }
    if whole > most || whole == most && has_more {
        return Err(field_error(ProblemCode::TooBig, format!("Must be at most {most}")));
    }
    if has_more {
        return Err(field_error(ProblemCode::InvalidType, "Expected integer, received float"));
    }
    Ok(whole)
}

/// A length from `least` to `most` milliseconds.
pub(super) fn millis(value: Raw<'_>, least: u64, most: u64) -> FieldResult<Millis> {
    integer(value, least, most).map(Millis::new)
}

/// One of the values that have a name; the message lists them all.
pub(super) fn one_of<T: Copy>(value: Raw<'_>, all: &[T], name: impl Fn(T) -> &'static str) -> FieldResult<T> {
    let not_one = |received: &str| {
        let names: Vec<_> = all.iter().map(|&one| name(one)).collect();
        field_error(ProblemCode::InvalidValue, format!("Must be one of {}; received {received}", names.join(", ")))
    };
    match string(value) {
        Ok(text) => all.iter().copied().find(|&one| name(one) == text).ok_or_else(|| not_one("another string")),
        Err(FieldError { code: ProblemCode::InvalidValue, .. }) => Err(not_one("another string")),
        Err(_) => Err(not_one(kind(value))),
    }
}

/// The value is of another type.
pub(super) fn unexpected(expected: &str, value: Raw<'_>) -> FieldError {
    field_error(ProblemCode::InvalidType, format!("Expected {expected}, received {}", kind(value)))
}

/// The type of a value, for messages.
pub(super) fn kind(value: Raw<'_>) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}
