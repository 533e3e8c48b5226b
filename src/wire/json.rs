//! Where the values of a JSON text begin and end: found in one pass that copies, converts and recurses nothing, and
//! stops at so many values, so that its cost has a bound. Does not know what is looked for.

use std::ops::ControlFlow;

/// How many values a text may have, those inside of others included: ten times what the greatest request has. A text of
/// 1 MiB could have half a million, which take a reader longer than all else that it may hold.
pub(super) const VALUES_MAX: usize = 100_000;

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
pub(super) enum Unread {
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
pub(super) fn whole(text: &str) -> Result<Raw<'_>, Unread> {
    let mut reader = Reader::new(text);
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

/// Shows `each` member of the object that a text is.
pub(super) fn members<'a>(text: &'a str, mut each: impl FnMut(Name<'a>, Raw<'a>)) -> Result<(), Unread> {
    let mut reader = Reader::new(text);
    reader.take(b'{')?;
    if !reader.takes(b'}') {
        loop {
            let name = reader.name()?;
            each(name, reader.value()?);
            if !reader.takes(b',') {
                break;
            }
        }
        reader.take(b'}')?;
    }
    reader.end()
}

/// Shows `each` value of the array that a text is, until it says that it has seen enough.
pub(super) fn elements<'a>(text: &'a str, mut each: impl FnMut(Raw<'a>) -> ControlFlow<()>) -> Result<(), Unread> {
    let mut reader = Reader::new(text);
    reader.take(b'[')?;
    if !reader.takes(b']') {
        loop {
            if each(reader.value()?).is_break() {
                return Ok(());
            }
            if !reader.takes(b',') {
                break;
            }
        }
        reader.take(b']')?;
    }
    reader.end()
}

/// How far a text was read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    values_left: ValuesLeft,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, values_left: ValuesLeft(VALUES_MAX + 1) }
    }

    fn unread(&self, at: usize) -> Unread {
        if self.values_left.0 == 0 { Unread::TooManyValues } else { Unread::NotJson(at) }
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
    fn take(&mut self, byte: u8) -> Result<(), Unread> {
        if self.takes(byte) { Ok(()) } else { Err(self.unread(self.at)) }
    }

    fn end(&mut self) -> Result<(), Unread> {
        self.at = space(self.text.as_bytes(), self.at);
        if self.at == self.text.len() { Ok(()) } else { Err(self.unread(self.at)) }
    }

    /// A name and the colon behind it.
    #[inline]
    fn name(&mut self) -> Result<Name<'a>, Unread> {
        let bytes = self.text.as_bytes();
        let start = space(bytes, self.at);
        let (end, is_escaped) = quoted(bytes, start).map_err(|at| self.unread(at))?;
        self.at = colon(bytes, end).map_err(|at| self.unread(at))?;
        Ok(Name { literal: &self.text[start..end], is_escaped })
    }

    /// A value of any kind.
    #[inline]
    fn value(&mut self) -> Result<Raw<'a>, Unread> {
        let bytes = self.text.as_bytes();
        let start = space(bytes, self.at);
        self.at = match bytes.get(start) {
            Some(b'{' | b'[') => nested(bytes, start, &mut self.values_left),
            Some(_) | None => self.values_left.take(start).and_then(|()| scalar(bytes, start)),
        }
        .map_err(|at| self.unread(at))?;
        Ok(Raw(&self.text[start..self.at]))
    }
}

/// How many values may still come, and one: at 0 there was one too many.
struct ValuesLeft(usize);

impl ValuesLeft {
    /// Counts the value that begins at `at`.
    #[inline(always)]
    fn take(&mut self, at: usize) -> Result<(), usize> {
        self.0 -= 1;
        if self.0 == 0 { Err(at) } else { Ok(()) }
    }
}

// What follows passes something that begins at `at`, and says where it ends, or where the text goes wrong.
// What each value passes through is always inlined: left to itself, the compiler calls it.

#[inline]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// An object or an array. What is open inside of it is remembered in a list and not on the stack.
fn nested(bytes: &[u8], mut at: usize, values_left: &mut ValuesLeft) -> Result<usize, usize> {
    let mut open: Vec<u8> = Vec::new();
    loop {
        values_left.take(at)?;
        match bytes.get(at) {
            Some(b'{') => {
                at = space(bytes, at + 1);
                if bytes.get(at) != Some(&b'}') {
                    open.push(b'}');
                    at = member(bytes, at)?;
                    continue;
                }
                at += 1;
            }
            Some(b'[') => {
                at = space(bytes, at + 1);
                if bytes.get(at) != Some(&b']') {
                    open.push(b']');
                    continue;
                }
                at += 1;
            }
            Some(_) | None => at = scalar(bytes, at)?,
        }
        // A value is complete: what follows it depends on what it is in.
        loop {
            let Some(close) = open.last() else { return Ok(at) };
            at = space(bytes, at);
            match bytes.get(at) {
                Some(b',') => {
                    at = space(bytes, at + 1);
                    if *close == b'}' {
                        at = member(bytes, at)?;
                    }
                    break;
                }
                Some(byte) if byte == close => {
                    open.pop();
                    at += 1;
                }
                Some(_) | None => return Err(at),
            }
        }
    }
}

/// A name, the colon behind it, and space, up to the member's value.
#[inline]
fn member(bytes: &[u8], at: usize) -> Result<usize, usize> {
    let (end, _) = quoted(bytes, at)?;
    Ok(space(bytes, colon(bytes, end)?))
}

#[inline]
fn colon(bytes: &[u8], at: usize) -> Result<usize, usize> {
    let at = space(bytes, at);
    if bytes.get(at) == Some(&b':') { Ok(at + 1) } else { Err(at) }
}

#[inline(always)]
fn scalar(bytes: &[u8], at: usize) -> Result<usize, usize> {
    match bytes.get(at) {
        Some(b'"') => quoted(bytes, at).map(|(end, _)| end),
        Some(b'-' | b'0'..=b'9') => number(bytes, at),
        Some(b't') => literal(bytes, at, b"true"),
        Some(b'f') => literal(bytes, at, b"false"),
        Some(b'n') => literal(bytes, at, b"null"),
        Some(_) | None => Err(at),
    }
}

fn literal(bytes: &[u8], at: usize, text: &[u8]) -> Result<usize, usize> {
    let common = bytes[at..].iter().zip(text).take_while(|(byte, expected)| byte == expected).count();
    if common == text.len() { Ok(at + common) } else { Err(at + common) }
}

/// A string; says also whether something in it is escaped.
#[inline(always)]
fn quoted(bytes: &[u8], mut at: usize) -> Result<(usize, bool), usize> {
    if bytes.get(at) != Some(&b'"') {
        return Err(at);
    }
    let mut is_escaped = false;
    at += 1;
    loop {
        at += plain_len(&bytes[at..]);
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, is_escaped)),
            Some(b'\\') => {
                is_escaped = true;
                at = escape(bytes, at + 1)?;
            }
            Some(b' '..) => at += 1,
            Some(_) | None => return Err(at),
        }
    }
}

/// What stands behind a backslash.
#[inline]
fn escape(bytes: &[u8], at: usize) -> Result<usize, usize> {
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => {
            let digits = bytes[at + 1..].iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
            if digits == 4 { Ok(at + 5) } else { Err(at + 1 + digits) }
        }
        Some(_) | None => Err(at),
    }
}

#[inline(always)]
fn number(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    at += usize::from(bytes.get(at) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits(bytes, at)?;
    }
    Ok(at)
}

/// One digit or more.
#[inline]
fn digits(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let mut at = start;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    if at == start { Err(at) } else { Ok(at) }
}

/// How many bytes, at least, stand before the first that means something in a string: looked at eight at a time, all in
/// one word.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of each byte that is less than `least`, and of some behind the first of these.
    let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word & HIGH;
    let mut len = 0;
    for &chunk in bytes.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(chunk);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = quote | escape | below(word, b' ');
        if found != 0 {
            return len + (found.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    len
}
