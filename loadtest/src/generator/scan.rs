//! Searches bytes without parsing them: what checks read is always in the same part of a response, and parsing all of it would
//! cost more than the server needs to write it.

use memchr::{memchr, memmem};

/// Where `what` begins.
pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memmem::find(bytes, what)
}

/// What follows the first `name`.
pub(crate) fn after<'b>(bytes: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    find(bytes, name).map(|at| &bytes[at + name.len()..])
}

/// What follows the last `name`.
pub(crate) fn after_last<'b>(bytes: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    memmem::rfind(bytes, name).map(|at| &bytes[at + name.len()..])
}

/// The number that bytes begin with.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()
}

/// The text that bytes begin with, up to its quote; what is asked for has no escapes.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    let end = memchr(b'"', bytes)?;
    std::str::from_utf8(&bytes[..end]).ok()
}
