//! A session's metadata: a JSON object of the client's, kept as compact text. Knows how it is checked,
//! made compact and merged; does not know what is in it.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::problems::Code;
use super::read::{Looked, fault, kind};

/// How long metadata may be, in bytes of compact JSON.
pub const MAX_LEN: usize = 4_096;
/// How deep it may be nested: what JSON readers take by default.
const MAX_DEPTH: usize = 100;

/// Metadata would become longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// A change of metadata by JSON Merge Patch (RFC 7396).
#[derive(Clone, Debug, PartialEq)]
pub enum Merge {
    /// `null`: the metadata goes.
    Remove,
    /// An object to merge.
    With(Map<String, Value>),
}

impl Merge {
    /// The metadata after the change.
    pub fn apply(&self, metadata: Option<&str>) -> Result<Option<Arc<str>>, TooLarge> {
        let Merge::With(patch) = self else { return Ok(None) };
        let mut target = metadata.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        merge(&mut target, patch);
        let text = target.to_string();
        if text.len() > MAX_LEN { Err(TooLarge) } else { Ok(Some(text.into())) }
    }
}

/// Depth is bounded where metadata is read.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, value) in patch {
        match value {
            Value::Null => {
                members.shift_remove(name);
            }
            Value::Object(inner) => merge(members.entry(name.as_str()).or_insert(Value::Null), inner),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                members.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Reads metadata that is given as a whole.
pub(super) fn whole(value: &RawValue) -> Looked<Arc<str>> {
    let text = Value::Object(members(value)?).to_string();
    if text.len() > MAX_LEN {
        return Err(too_large());
    }
    Ok(text.into())
}

/// Reads a change of metadata.
pub(super) fn change(value: &RawValue) -> Looked<Merge> {
    if value.get() == "null" { Ok(Merge::Remove) } else { members(value).map(Merge::With) }
}

pub(super) fn too_large() -> super::read::Fault {
    fault(Code::TooBig, format!("Must be at most {MAX_LEN} bytes of JSON"))
}

fn members(value: &RawValue) -> Looked<Map<String, Value>> {
    if !value.get().starts_with('{') {
        return Err(fault(Code::InvalidType, format!("Expected object, received {}", kind(value))));
    }
    if depth(value.get()) > MAX_DEPTH {
        return Err(fault(Code::TooBig, format!("Must be nested at most {MAX_DEPTH} deep")));
    }
    let members: Map<String, Value> = serde_json::from_str(value.get())
        .map_err(|_| fault(Code::InvalidValue, "Must not contain lone surrogates"))?;
    check(&members)?;
    Ok(members)
}

/// How deep brackets stand inside each other, those in strings left out.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// Refuses what a database could not keep: NUL, and numbers beyond 64-bit floats.
fn check(members: &Map<String, Value>) -> Looked<()> {
    members.iter().try_for_each(|(name, value)| {
        check_text(name)?;
        check_value(value)
    })
}

fn check_value(value: &Value) -> Looked<()> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::String(text) => check_text(text),
        Value::Number(number) if number.as_f64().is_some_and(f64::is_finite) => Ok(()),
        Value::Number(_) => Err(fault(Code::TooBig, "Must not contain numbers beyond 64-bit floats")),
        Value::Array(values) => values.iter().try_for_each(check_value),
        Value::Object(members) => check(members),
    }
}

fn check_text(text: &str) -> Looked<()> {
    if text.contains('\0') { Err(fault(Code::InvalidValue, "Must not contain NUL")) } else { Ok(()) }
}
