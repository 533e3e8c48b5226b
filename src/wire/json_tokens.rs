//! Tokens of a JSON text: each function here passes one that begins at a byte, and says where it ends, or where the text
//! goes wrong. Nothing recurses. Does not know what a token is for.
//!
//! What each value passes through is always inlined: left to itself, the compiler calls it.

/// How many values may still come, and one: at 0 there was one too many.
pub(super) struct ValuesLeft(usize);

impl ValuesLeft {
    /// So many values may come.
    pub(super) fn new(most: usize) -> Self {
        Self(most + 1)
    }

    /// Whether there was one too many.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0 == 0
    }

    /// Counts the value that begins at `at`.
    #[inline(always)]
    pub(super) fn take(&mut self, at: usize) -> Result<(), usize> {
        self.0 -= 1;
        if self.0 == 0 { Err(at) } else { Ok(()) }
    }
}

#[inline]
pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// An object or an array. What is open inside of it is remembered in a list and not on the stack.
pub(super) fn nested(bytes: &[u8], mut at: usize, values_left: &mut ValuesLeft) -> Result<usize, usize> {
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
pub(super) fn colon(bytes: &[u8], at: usize) -> Result<usize, usize> {
    let at = space(bytes, at);
    if bytes.get(at) == Some(&b':') { Ok(at + 1) } else { Err(at) }
}

#[inline(always)]
pub(super) fn scalar(bytes: &[u8], at: usize) -> Result<usize, usize> {
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
pub(super) fn quoted(bytes: &[u8], mut at: usize) -> Result<(usize, bool), usize> {
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
                // Escapes come in a row.
                while bytes.get(at) == Some(&b'\\') {
                    at = escape(bytes, at + 1)?;
                }
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
        Some(b'u') => match bytes[at + 1..] {
            [a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => Ok(at + 5),
            ref rest => Err(at + 1 + rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count()),
        },
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
