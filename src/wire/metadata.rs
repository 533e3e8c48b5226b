//! A session's metadata: a JSON object of the client's, kept as compact text with its names in their order
//! and its numbers as they were written. Knows how it is checked, made compact and merged; does not know
//! what is in it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::problems::Code;
use super::read::{self, Fault, Looked, Object, fault};
use super::write::Write;

/// How long metadata may be, in bytes of compact JSON.
pub const MAX_LEN: usize = 4_096;
/// How long a change may be: enough to name all that there is and all that is to come.
const CHANGE_MAX_LEN: usize = 4 * MAX_LEN;
/// How deep it may be nested: what JSON readers take by default.
const MAX_DEPTH: usize = 100;

/// How far from zero an exponent may be. A jsonb number has at most 16,383 digits behind its point (PostgreSQL
/// documentation, section 8.1.2), and a number here has at most [`MAX_LEN`] before its exponent.
const EXPONENT_MAX: u32 = 9_999;

/// Metadata would become longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// A change of metadata by JSON Merge Patch (RFC 7396).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// `null`: the metadata goes.
    Remove,
    /// An object to merge, as compact JSON.
    With(Arc<str>),
}

impl Merge {
    /// The metadata after the change.
    pub fn apply(&self, metadata: Option<&str>) -> Result<Option<Arc<str>>, TooLarge> {
        let Merge::With(patch) = self else { return Ok(None) };
        let mut merged = Vec::with_capacity(metadata.map_or(0, str::len) + patch.len());
        merge(&members(metadata.unwrap_or("{}")), &members(patch), &mut merged);
        if merged.len() > MAX_LEN {
            return Err(TooLarge);
        }
        Ok(Some(String::from_utf8(merged).expect("texts make a text").into()))
    }
}

/// The members of an object that was made compact here.
fn members(compact: &str) -> Object<'_> {
    serde_json::from_str(compact).ok().and_then(|value| read::object(value).ok()).unwrap_or_default()
}

/// Depth is bounded where metadata is read, and a merge is no deeper than what it is made of.
fn merge(target: &Object<'_>, patch: &Object<'_>, out: &mut Vec<u8>) {
    out.raw("{");
    for (name, old) in target.members() {
        merge_member(&name, Some(old), patch.member(&name), out);
    }
    for (name, new) in patch.members().filter(|(name, _)| target.member(name).is_none()) {
        if patch.member(&name).is_some_and(|last| std::ptr::eq(last, new)) {
            merge_member(&name, None, Some(new), out);
        }
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.raw("}");
}

fn merge_member(name: &str, old: Option<&RawValue>, new: Option<&RawValue>, out: &mut Vec<u8>) {
    let Some(value) = new.or(old).filter(|_| new.is_none_or(|new| new.get() != "null")) else { return };
    out.string(name);
    out.raw(":");
    match new.map(read::object) {
        Some(Ok(patch)) => {
            let target = old.and_then(|old| read::object(old).ok()).unwrap_or_default();
            merge(&target, &patch, out);
        }
        Some(Err(_)) | None => out.raw(value.get()),
    }
    out.raw(",");
}

/// Reads metadata that is given as a whole.
pub(super) fn whole(value: &RawValue) -> Looked<Arc<str>> {
    compact(value, MAX_LEN)
}

/// Reads a change of metadata.
pub(super) fn change(value: &RawValue) -> Looked<Merge> {
    if value.get() == "null" { Ok(Merge::Remove) } else { compact(value, CHANGE_MAX_LEN).map(Merge::With) }
}

/// How far a number's exponent is from zero, or farther than any that is allowed.
fn exponent(number: &str) -> u32 {
    let Some((_, exponent)) = number.split_once(['e', 'E']) else { return 0 };
    exponent.trim_start_matches(['+', '-']).parse().unwrap_or(u32::MAX)
}

/// An object without space between its tokens, each string in its shortest form. Refuses what a database
/// could not keep: NUL, lone surrogates, numbers beyond 64-bit floats, and exponents without end.
fn compact(value: &RawValue, len_max: usize) -> Looked<Arc<str>> {
    if !value.get().starts_with('{') {
        return Err(read::unexpected("object", value));
    }
    let mut text = String::new();
    let mut depth = 0;
    let mut rest = value.get();
    while let Some(&first) = rest.as_bytes().first() {
        let (token, after) = rest.split_at(token_len(rest));
        match first {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' if token.contains('\\') => text.push_str(&shortest(token)?),
            b'{' | b'[' if depth == MAX_DEPTH => {
                return Err(fault(Code::TooBig, format!("Must be nested at most {MAX_DEPTH} deep")));
            }
            b'-' | b'0'..=b'9' if exponent(token) > EXPONENT_MAX => {
                return Err(fault(Code::TooBig, format!("Must not contain exponents beyond {EXPONENT_MAX}")));
            }
            b'-' | b'0'..=b'9' if !token.parse().is_ok_and(f64::is_finite) => {
                return Err(fault(Code::TooBig, "Must not contain numbers beyond 64-bit floats"));
            }
            _ => text.push_str(token),
        }
        depth = match first {
            b'{' | b'[' => depth + 1,
            b'}' | b']' => depth - 1,
            _ => depth,
        };
        if text.len() > len_max {
            return Err(fault(Code::TooBig, format!("Must be at most {len_max} bytes of JSON")));
        }
        rest = after;
    }
    Ok(text.into())
}

/// The length of the first token of valid JSON; of space and syntax, each character counts as one.
fn token_len(json: &str) -> usize {
    let bytes = json.as_bytes();
    match bytes[0] {
        b'"' => {
            let mut escaped = false;
            let closes = |&byte: &u8| {
                let closes = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closes
            };
            2 + bytes[1..].iter().position(closes).expect("a string is closed")
        }
        b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'}' | b'[' | b']' | b':' | b',' => 1,
        _ => {
            let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'}' | b']' | b',');
            bytes.iter().position(ends).unwrap_or(bytes.len())
        }
    }
}

/// A string without needless escapes.
fn shortest(literal: &str) -> Result<String, Fault> {
    let mut text = Vec::with_capacity(literal.len());
    text.string(&read::text(literal)?);
    Ok(String::from_utf8(text).expect("texts make a text"))
}
