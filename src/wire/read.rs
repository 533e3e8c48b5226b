//! Reading JSON without copying it: an object is its members' names and raw values, borrowed from the
//! body, and a value is looked at when somebody asks for its field. So every problem is found in one go,
//! and nothing recurses, however deep a body is nested. Does not know which fields a request has.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::engine::{Millis, Uuid};

use super::problems::{Code, Problem, Problems};

/// The body is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJson(pub String);

/// What is wrong with one value.
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: Cow<'static, str>,
}

pub(super) fn fault(code: Code, message: impl Into<Cow<'static, str>>) -> Fault {
    Fault { code, message: message.into() }
}

/// The result of looking at one value.
pub(super) type Looked<T> = Result<T, Fault>;

/// The members of a JSON object. Of members with the same name the last counts, as in JavaScript.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, [u8]>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads a body; an empty one is `{}`. What is JSON but no object is a problem of the field "".
    pub fn parse(body: &'a [u8], problems: &mut Problems) -> Result<Self, NotJson> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let text = std::str::from_utf8(body).map_err(|_| NotJson("the body is not UTF-8".to_owned()))?;
        let value: &RawValue = serde_json::from_str(text).map_err(|error| NotJson(error.to_string()))?;
        Ok(object(value).unwrap_or_else(|fault| {
            problems.push(Problem { field: String::new(), message: fault.message, code: fault.code });
            Self::default()
        }))
    }

    /// The value of a member.
    pub(super) fn member(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().rev().find(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| *value)
    }

    /// All members, those included that do not count.
    pub(super) fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, &'a RawValue)> {
        self.members.iter().map(|(name, value)| (String::from_utf8_lossy(name), *value))
    }
}

/// Looks at the fields of one object and collects what is wrong with them.
pub(super) struct Fields<'o, 'a, 'p> {
    object: &'o Object<'a>,
    /// The array in the body that the object is in, and its place there.
    inside: Option<(&'static str, usize)>,
    problems: &'p mut Problems,
}

impl<'o, 'a, 'p> Fields<'o, 'a, 'p> {
    /// The fields of the body.
    pub(super) fn of_body(object: &'o Object<'a>, problems: &'p mut Problems) -> Self {
        Self { object, inside: None, problems }
    }

    /// The fields of the object at `place` of the body's array `name`.
    pub(super) fn inside(object: &'o Object<'a>, name: &'static str, place: usize, problems: &'p mut Problems) -> Self {
        Self { object, inside: Some((name, place)), problems }
    }

    /// A field that must be there.
    pub(super) fn required<T>(&mut self, name: &str, look: impl FnOnce(&'a RawValue) -> Looked<T>) -> Option<T> {
        if self.object.member(name).is_none() {
            self.report(name, fault(Code::InvalidType, "Required"));
        }
        self.optional(name, look)
    }

    /// A field that may be there; `null` is a value like any other.
    pub(super) fn optional<T>(&mut self, name: &str, look: impl FnOnce(&'a RawValue) -> Looked<T>) -> Option<T> {
        match look(self.object.member(name)?) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.report(name, fault);
                None
            }
        }
    }

    /// Says what is wrong with a field.
    pub(super) fn report(&mut self, name: impl fmt::Display, fault: Fault) {
        let field = match self.inside {
            Some((array, place)) => format!("{array}.{place}.{name}"),
            None => name.to_string(),
        };
        self.problems.push(Problem { field, message: fault.message, code: fault.code });
    }

    /// The list of problems, for fields further inside.
    pub(super) fn problems(&mut self) -> &mut Problems {
        self.problems
    }
}

/// The members of an object.
pub(super) fn object(value: &RawValue) -> Looked<Object<'_>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Object<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
            let mut members = Vec::with_capacity(8);
            while let Some(entry) = map.next_key_seed(Name)? {
                members.push((entry, map.next_value()?));
            }
            Ok(Object { members })
        }
    }
    let wrong = || unexpected("object", value);
    if !value.get().starts_with('{') {
        return Err(wrong());
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_map(Members).map_err(|_| wrong())
}

/// A member's name as bytes: an escaped lone surrogate is no reason to refuse a field that nobody asked for.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, [u8]>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_bytes<E>(self, name: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name.as_bytes()))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.as_bytes().to_owned()))
    }
}

/// The values of an array.
fn array(value: &RawValue) -> Looked<Vec<&RawValue>> {
    struct Values;
    impl<'de> Visitor<'de> for Values {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = seq.next_element()? {
                values.push(value);
            }
            Ok(values)
        }
    }
    let wrong = || unexpected("array", value);
    if !value.get().starts_with('[') {
        return Err(wrong());
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_seq(Values).map_err(|_| wrong())
}

/// An array with `least` to `most` values.
pub(super) fn array_of(value: &RawValue, least: usize, most: usize) -> Looked<Vec<&RawValue>> {
    let values = array(value)?;
    if values.len() < least {
        return Err(fault(Code::TooSmall, format!("Must have at least {least} entries, has {}", values.len())));
    }
    if values.len() > most {
        return Err(fault(Code::TooBig, format!("Must have at most {most} entries, has {}", values.len())));
    }
    Ok(values)
}

/// A string without NUL and lone surrogates.
pub(super) fn string(value: &RawValue) -> Looked<Cow<'_, str>> {
    if value.get().starts_with('"') { text(value.get()) } else { Err(unexpected("string", value)) }
}

/// What a string's literal, quotes included, stands for.
pub(super) fn text(literal: &str) -> Looked<Cow<'_, str>> {
    let inside = &literal[1..literal.len() - 1];
    if !inside.contains('\\') {
        return Ok(Cow::Borrowed(inside));
    }
    match serde_json::from_str::<String>(literal) {
        Ok(text) if text.contains('\0') => Err(fault(Code::InvalidValue, "Must not contain NUL")),
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(fault(Code::InvalidValue, "Must not contain lone surrogates")),
    }
}

/// A UUID.
pub(super) fn uuid(value: &RawValue) -> Looked<Uuid> {
    let not_one = || fault(Code::InvalidFormat, "Must be a UUID");
    match string(value) {
        Ok(text) => Uuid::parse(&text).ok_or_else(not_one),
        Err(Fault { code: Code::InvalidValue, .. }) => Err(not_one()),
        Err(fault) => Err(fault),
    }
}

/// An integer from `least` to `most`; `60000.0` and `6e4` are integers. Exact up to 2^53, as all numbers
/// of the contract are.
pub(super) fn integer(value: &RawValue, least: u64, most: u64) -> Looked<u64> {
    let json = value.get();
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(unexpected("integer", value));
    }
    let number: f64 = json.parse().expect("JSON numbers are numbers");
    if number < least as f64 {
        return Err(fault(Code::TooSmall, format!("Must be at least {least}")));
    }
    if number > most as f64 {
        return Err(fault(Code::TooBig, format!("Must be at most {most}")));
    }
    if number.fract() != 0.0 {
        return Err(fault(Code::InvalidType, "Expected integer, received float"));
    }
    Ok(number as u64)
}

/// A length from `least` to `most` milliseconds.
pub(super) fn millis(value: &RawValue, least: u64, most: u64) -> Looked<Millis> {
    integer(value, least, most).map(Millis::new)
}

/// One of the values that have a name; the message lists them all.
pub(super) fn one_of<T: Copy>(value: &RawValue, all: &[T], name: impl Fn(T) -> &'static str) -> Looked<T> {
    let not_one = |received: &str| {
        let names: Vec<_> = all.iter().map(|&one| name(one)).collect();
        fault(Code::InvalidValue, format!("Must be one of {}; received {received}", names.join(", ")))
    };
    match string(value) {
        Ok(text) => all.iter().copied().find(|&one| name(one) == text).ok_or_else(|| not_one("another string")),
        Err(Fault { code: Code::InvalidValue, .. }) => Err(not_one("another string")),
        Err(_) => Err(not_one(kind(value))),
    }
}

/// The value is of another type.
pub(super) fn unexpected(expected: &str, value: &RawValue) -> Fault {
    fault(Code::InvalidType, format!("Expected {expected}, received {}", kind(value)))
}

/// The type of a value, for messages.
pub(super) fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}
