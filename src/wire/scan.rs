//! What we have written ourselves read back from the front, in the very form in which it was written: without parsing what
//! comes behind. Does not know what it means.

use crate::engine::Uuid;

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a>(pub(super) &'a [u8]);

impl Scan<'_> {
    /// These bytes must come next.
    pub(super) fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// A whole number must come next.
    pub(super) fn number(&mut self) -> Option<u64> {
        let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 || len > 19 {
            return None;
        }
        let (digits, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    /// A quoted UUID must come next.
    pub(super) fn uuid(&mut self) -> Option<Uuid> {
        self.literal(b"\"")?;
        let (text, rest) = self.0.split_at_checked(Uuid::TEXT_LEN)?;
        self.0 = rest;
        self.literal(b"\"")?;
        Uuid::parse(std::str::from_utf8(text).ok()?)
    }

    /// Goes on behind the next occurrence of these bytes.
    pub(super) fn find(&mut self, text: &[u8]) -> Option<()> {
        let at = memchr::memmem::find(self.0, text)?;
        self.0 = &self.0[at + text.len()..];
        Some(())
    }
}
