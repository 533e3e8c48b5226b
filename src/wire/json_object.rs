//! Reading JSON without copying it: an object is the raw values of the fields that there are, borrowed from the
//! body, and a value is looked at when somebody asks for its field. So every problem is found in one go,
//! and nothing recurses, however deep a body is nested. Does not know which request has which fields.

use std::borrow::Cow;
use std::fmt;

use super::json::{self, Name, Raw, ScanError};
use super::json_values::{FieldError, FieldResult, field_error, unexpected};
use super::validation::{self, FieldProblem, FieldProblems, ProblemCode};

/// The body is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJson(pub String);

/// The fields that requests have, those of participants, groups and messages included: what is looked for in an object
/// must stand here. Whatever else an object has is passed over, so that it costs nothing to keep.
const FIELDS: [&str; 25] = [
    "session_id",
    "sync_mode",
    "participants",
    "total_time_ms",
    "time_per_cycle_ms",
    "increment_ms",
    "max_time_ms",
    "metadata",
    "on_timeout",
    "warn_at_ms",
    "groups",
    "next_participant_id",
    "current_participant_id",
    "expected_version",
    "participant_id",
    "participant_index",
    "group_id",
    "type",
    "timestamp",
    "request_id",
    "token",
    "idempotency_key",
    "time_control",
    "multiplier_pct",
    "extra_ms",
];
/// The longest name of a field.
const FIELD_LEN_MAX: usize = 32;
/// How long fields are that begin with a byte, a bit for each length: what begins or ends otherwise is none, and need not
/// be compared with all of them.
const LENS: [u64; 128] = {
    let (mut lens, mut field) = ([0; 128], 0);
    while field < FIELDS.len() {
        let name = FIELDS[field].as_bytes();
        lens[name[0] as usize] |= 1 << name.len();
        field += 1;
    }
    lens
};
/// How many names are remembered that are no fields: a body can hold many more than an answer should.
const OTHERS_MAX: usize = 100;

/// The members of a JSON object. Of members with the same name the last counts, as in JavaScript.
#[derive(Debug, Default)]
pub struct Object<'a> {
    fields: [Option<Raw<'a>>; FIELDS.len()],
    /// Names that are no fields, as they stand in the text.
    others: Vec<&'a str>,
}

impl<'a> Object<'a> {
    /// Reads a body; an empty one is `{}`. What is no object, or has too many values to be read, is a problem of the
    /// field "".
    pub fn parse(body: &'a [u8], problems: &mut FieldProblems) -> Result<Self, NotJson> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let text = std::str::from_utf8(body).map_err(|_| NotJson("the body is not UTF-8".to_owned()))?;
        let text_start = text.trim_start_matches([' ', '\n', '\t', '\r']);
        let read = if text_start.starts_with('{') {
            Self::of(text).map(Ok)
        } else {
            json::whole(text).map(|value| Err(unexpected("object", value)))
        };
        let field_error = match read {
            Ok(Ok(object)) => return Ok(object),
            Ok(Err(not_an_object)) => not_an_object,
            Err(ScanError::TooManyValues) => {
                field_error(ProblemCode::TooBig, format!("Must have at most {} values", json::VALUES_MAX))
            }
            Err(ScanError::NotJson(at)) => return Err(NotJson(json::syntax_error(text, at))),
        };
        problems.push(FieldProblem { field: String::new(), message: field_error.message, code: field_error.code });
        Ok(Self::default())
    }

    fn of(text: &'a str) -> Result<Self, ScanError> {
        let mut object = Self::default();
        json::members(text, |name, value| match position(name) {
            Some(position) => object.fields[position] = Some(value),
            None if object.others.len() < OTHERS_MAX => object.others.push(name.literal),
            None => {}
        })?;
        Ok(object)
    }

    /// The value of a member, which must be one of [`FIELDS`].
    pub(super) fn member(&self, name: &str) -> Option<Raw<'a>> {
        let position = FIELDS.iter().position(|field| *field == name);
        debug_assert!(position.is_some(), "{name} does not stand in FIELDS");
        self.fields[position?]
    }

    /// The fields that there are.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, Raw<'a>)> {
        FIELDS.iter().zip(&self.fields).filter_map(|(name, value)| Some((*name, (*value)?)))
    }

    /// The names of all members: of fields first, then others in their order, so many at most that they fit an answer.
    pub(super) fn names(&self) -> impl Iterator<Item = Cow<'a, str>> {
        let fields = FIELDS.iter().zip(&self.fields).filter(|(_, value)| value.is_some());
        let others = self.others.iter().map(|literal| match serde_json::from_str(literal) {
            Ok(name) => Cow::Owned(name),
            Err(_) => Cow::Borrowed(&literal[1..literal.len() - 1]),
        });
        fields.map(|(name, _)| Cow::Borrowed(*name)).chain(others)
    }
}

/// Which of the fields a name is.
fn position(name: Name<'_>) -> Option<usize> {
    let inside = &name.literal.as_bytes()[1..name.literal.len() - 1];
    let is = |name: &[u8]| {
        let lens = LENS.get(usize::from(*name.first()?))?;
        (lens >> name.len().min(FIELD_LEN_MAX) & 1 == 1)
            .then(|| FIELDS.iter().position(|field| field.as_bytes() == name))?
    };
    if !name.is_escaped {
        return is(inside);
    }
    let (mut name, mut len, mut rest) = ([0; FIELD_LEN_MAX], 0, inside);
    while let Some((&first, after)) = rest.split_first() {
        let (character, after) = match after.split_first_chunk::<5>() {
            _ if first != b'\\' => (first, after),
            // Fields have neither quotes nor control characters: only this escape can stand for a part of one.
            Some((escape, after)) if escape.starts_with(b"u00") => {
                let digit = |at: usize| char::from(escape[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                (digit(3)? << 4 | digit(4)?, after)
            }
            Some(_) | None => return None,
        };
        *name.get_mut(len)? = character;
        (len, rest) = (len + 1, after);
    }
    is(&name[..len])
}

/// Looks at the fields of one object and collects what is wrong with them.
pub(super) struct Fields<'o, 'a, 'p> {
    object: &'o Object<'a>,
    /// The array in the body that the object is in, and its position there.
    inside: Option<(&'static str, usize)>,
    problems: &'p mut FieldProblems,
}

impl<'o, 'a, 'p> Fields<'o, 'a, 'p> {
    /// The fields of the body.
    pub(super) fn of_body(object: &'o Object<'a>, problems: &'p mut FieldProblems) -> Self {
        Self { object, inside: None, problems }
    }

    /// The fields of the object at `position` of the body's array `name`.
    pub(super) fn inside(
        object: &'o Object<'a>,
        name: &'static str,
        position: usize,
        problems: &'p mut FieldProblems,
    ) -> Self {
        Self { object, inside: Some((name, position)), problems }
    }

    /// A field that must be there.
    pub(super) fn required<T>(&mut self, name: &str, look: impl FnOnce(Raw<'a>) -> FieldResult<T>) -> Option<T> {
        if self.object.member(name).is_none() {
            self.report(name, field_error(ProblemCode::InvalidType, "Required"));
        }
        self.optional(name, look)
    }

    /// A field that may be there; `null` is a value like any other.
    pub(super) fn optional<T>(&mut self, name: &str, look: impl FnOnce(Raw<'a>) -> FieldResult<T>) -> Option<T> {
        match look(self.object.member(name)?) {
            Ok(value) => Some(value),
            Err(field_error) => {
                self.report(name, field_error);
                None
            }
        }
    }

    /// A field that may be there, as it is, and where that is.
    pub(super) fn raw(&self, name: &str) -> Option<(Raw<'a>, String)> {
        let value = self.object.member(name)?;
        let field = match self.inside {
            Some((array, position)) => format!("{array}.{position}.{name}"),
            None => name.to_owned(),
        };
        Some((value, field))
    }

    /// Says what is wrong with a field.
    pub(super) fn report(&mut self, name: impl fmt::Display, field_error: FieldError) {
        let inside = self.inside;
        validation::add(self.problems, || {
            let field = match inside {
                Some((array, position)) => format!("{array}.{position}.{name}"),
                None => name.to_string(),
            };
            FieldProblem { field, message: field_error.message, code: field_error.code }
        });
    }

    /// The list of problems, for fields further inside.
    pub(super) fn problems(&mut self) -> &mut FieldProblems {
        self.problems
    }
}

/// The members of an object.
pub(super) fn object(value: Raw<'_>) -> FieldResult<Object<'_>> {
    if !value.get().starts_with('{') {
        return Err(unexpected("object", value));
    }
    Object::of(value.get()).map_err(|_| unexpected("object", value))
}
