//! Where the values of a JSON text begin and end: found in one pass that copies, converts and recurses nothing, so
//! that what it costs depends on the text's length alone. Does not know what is looked for.

use std::fmt;

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

/// The text is no JSON: where, and whether because it ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    at: usize,
    is_end: bool,
}

impl Wrong {
    /// What is wrong, and the line and column where it is, for a person.
    pub(super) fn told(self, text: &str) -> impl fmt::Display {
        let before = &text.as_bytes()[..self.at.min(text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        let what = if self.is_end { "unexpected end" } else { "unexpected character" };
        format!("{what} at line {line} column {column}")
    }
}

/// The value that a text is, with nothing but space around it.
pub(super) fn whole(text: &str) -> Result<Raw<'_>, Wrong> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

/// Shows `each` member of the object that a text is.
pub(super) fn members<'a>(text: &'a str, mut each: impl FnMut(Name<'a>, Raw<'a>)) -> Result<(), Wrong> {
    let mut reader = Reader { text, at: 0 };
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

/// Shows `each` value of the array that a text is.
pub(super) fn elements<'a>(text: &'a str, mut each: impl FnMut(Raw<'a>)) -> Result<(), Wrong> {
    let mut reader = Reader { text, at: 0 };
    reader.take(b'[')?;
    if !reader.takes(b']') {
        loop {
            each(reader.value()?);
            if !reader.takes(b',') {
                break;
            }
        }
        reader.take(b']')?;
    }
    reader.end()
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

/// How far a text was read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong<T>(&self) -> Result<T, Wrong> {
        Err(Wrong { at: self.at, is_end: self.at >= self.text.len() })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether this byte comes next, which is passed then.
    fn takes(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn take(&mut self, byte: u8) -> Result<(), Wrong> {
        if self.takes(byte) { Ok(()) } else { self.wrong() }
    }

    fn end(&mut self) -> Result<(), Wrong> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.wrong() }
    }

    /// A name and the colon behind it.
    fn name(&mut self) -> Result<Name<'a>, Wrong> {
        self.space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return self.wrong();
        }
        let is_escaped = self.string()?;
        let literal = &self.text[start..self.at];
        self.take(b':')?;
        Ok(Name { literal, is_escaped })
    }

    /// A value of any kind. What is open inside of it is remembered in a list and not on the stack.
    fn value(&mut self) -> Result<Raw<'a>, Wrong> {
        self.space();
        let start = self.at;
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.space();
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                Some(b'{') => {
                    self.at += 1;
                    if !self.takes(b'}') {
                        open.push(b'}');
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.takes(b']') {
                        open.push(b']');
                        continue;
                    }
                }
                _ => return self.wrong(),
            }
            // A value is complete: what follows it depends on what it is in.
            loop {
                let Some(&close) = open.last() else { return Ok(Raw(&self.text[start..self.at])) };
                if self.takes(b',') {
                    if close == b'}' {
                        self.name()?;
                    }
                    break;
                }
                self.take(close)?;
                open.pop();
            }
        }
    }

    fn literal(&mut self, text: &str) -> Result<(), Wrong> {
        for &byte in text.as_bytes() {
            if self.peek() != Some(byte) {
                return self.wrong();
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Passes a string; returns whether something in it is escaped.
    fn string(&mut self) -> Result<bool, Wrong> {
        let bytes = self.text.as_bytes();
        let mut is_escaped = false;
        self.at += 1;
        loop {
            self.at += plain_len(&bytes[self.at..]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(is_escaped);
                }
                Some(b'\\') => {
                    is_escaped = true;
                    self.at += 1;
                    match bytes.get(self.at) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                    return self.wrong();
                                }
                                self.at += 1;
                            }
                        }
                        _ => return self.wrong(),
                    }
                }
                Some(b' '..) => self.at += 1,
                Some(_) | None => return self.wrong(),
            }
        }
    }

    fn number(&mut self) -> Result<(), Wrong> {
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.wrong() } else { Ok(()) }
    }
}
