//! The values of a JSON text, found in one pass that copies and converts nothing and stops at so many values, so that its
//! cost has a bound. Does not know how a token ends, nor what is looked for.

use std::ops::ControlFlow;

use super::json_tokens::{ValuesLeft, colon, nested, quoted, scalar, space};

/// How many values a text may have, those inside of others included: five times what the greatest request has. A text of
/// 1 MiB could have half a million, which take a reader longer than all else that it may hold.
pub(super) const VALUES_MAX: usize = 50_000;

/// A value as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Its text, without space around it.
    pub(super) fn get(self) -> &'a str {
        self.0
    }
}

/// A member's name as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    /// With its quotes.
    pub(super) literal: &'a str,
    /// Whether it says something by an escape.
    pub(super) is_escaped: bool,
}

/// Why a text was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanError {
    /// It is no JSON: from this byte on, or because it ends there.
    NotJson(usize),
    /// It has more than [`VALUES_MAX`] values, and may be JSON or not.
    TooManyValues,
}

/// What is wrong at a byte of a text, and the line and column where it is, for a person.
pub(super) fn syntax_error(text: &str, at: usize) -> String {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
    let what = if at >= text.len() { "unexpected end" } else { "unexpected character" };
    format!("{what} at line {line} column {column}")
}

/// The value that a text is, with nothing but space around it.
pub(super) fn whole(text: &str) -> Result<Raw<'_>, ScanError> {
    let mut scanner = JsonScanner::new(text);
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

/// Shows `each` member of the object that a text is.
pub(super) fn members<'a>(text: &'a str, mut each: impl FnMut(Name<'a>, Raw<'a>)) -> Result<(), ScanError> {
    let mut scanner = JsonScanner::new(text);
    scanner.take(b'{')?;
    if !scanner.takes(b'}') {
        loop {
            let name = scanner.name()?;
            each(name, scanner.value()?);
            if !scanner.takes(b',') {
                break;
            }
        }
        scanner.take(b'}')?;
    }
    scanner.end()
}

/// Shows `each` value of the array that a text is, until it says that it has seen enough.
pub(super) fn elements<'a>(text: &'a str, mut each: impl FnMut(Raw<'a>) -> ControlFlow<()>) -> Result<(), ScanError> {
    let mut scanner = JsonScanner::new(text);
    scanner.take(b'[')?;
    if !scanner.takes(b']') {
        loop {
            if each(scanner.value()?).is_break() {
                return Ok(());
            }
            if !scanner.takes(b',') {
                break;
            }
        }
        scanner.take(b']')?;
    }
    scanner.end()
}

/// How far a text was read.
struct JsonScanner<'a> {
    text: &'a str,
    at: usize,
    values_left: ValuesLeft,
}

impl<'a> JsonScanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, values_left: ValuesLeft::new(VALUES_MAX) }
    }

    fn error(&self, at: usize) -> ScanError {
        if self.values_left.is_exceeded() { ScanError::TooManyValues } else { ScanError::NotJson(at) }
    }

    /// Whether this byte comes next, which is passed then.
    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        let bytes = self.text.as_bytes();
        self.at = space(bytes, self.at);
        let is_next = bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.takes(byte) { Ok(()) } else { Err(self.error(self.at)) }
    }

    fn end(&mut self) -> Result<(), ScanError> {
        self.at = space(self.text.as_bytes(), self.at);
        if self.at == self.text.len() { Ok(()) } else { Err(self.error(self.at)) }
    }

    /// A name and the colon behind it.
    #[inline]
    fn name(&mut self) -> Result<Name<'a>, ScanError> {
        let bytes = self.text.as_bytes();
        let start = space(bytes, self.at);
        let (end, is_escaped) = quoted(bytes, start).map_err(|at| self.error(at))?;
        self.at = colon(bytes, end).map_err(|at| self.error(at))?;
        Ok(Name { literal: &self.text[start..end], is_escaped })
    }

    /// A value of any kind.
    #[inline]
    fn value(&mut self) -> Result<Raw<'a>, ScanError> {
        let bytes = self.text.as_bytes();
        let start = space(bytes, self.at);
        self.at = match bytes.get(start) {
            Some(b'{' | b'[') => nested(bytes, start, &mut self.values_left),
            Some(_) | None => self.values_left.take(start).and_then(|()| scalar(bytes, start)),
        }
        .map_err(|at| self.error(at))?;
        Ok(Raw(&self.text[start..self.at]))
    }
}
