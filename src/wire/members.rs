//! Objects that decide who may do what: every name stands once, and none that nobody asks for. Does not know what they say.

use std::borrow::Cow;

use super::json::{self, Raw};
use super::json_values::{self, FieldResult};

/// The most members of one object.
const MEMBERS_MAX: usize = 100;

/// What is wrong with something that grants access, for a person; it quotes no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl Malformed {
    /// The same, seen from outside.
    pub(super) fn inside(self, at: &str) -> Self {
        Self(format!("{at}.{}", self.0))
    }
}

/// The members of an object that were not asked for yet.
#[derive(Debug)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Members<'a> {
    /// Reads the object that a text is.
    pub(super) fn read(text: &'a str) -> Result<Self, Malformed> {
        let text = text.trim_ascii();
        if !text.starts_with('{') {
            return Err(Malformed("not a JSON object".to_owned()));
        }
        let (mut members, mut wrong): (Vec<(Cow<'_, str>, _)>, _) = (Vec::new(), None);
        let read = json::members(text, |name, value| match json_values::text(name.literal) {
            _ if wrong.is_some() => {}
            Ok(_) if members.len() == MEMBERS_MAX => wrong = Some("has too many members".to_owned()),
            Ok(name) if members.iter().any(|(known, _)| *known == name) => {
                wrong = Some(format!("{}: given twice", name.escape_debug()));
            }
            Ok(name) => members.push((name, value)),
            Err(field_error) => wrong = Some(format!("a name is wrong: {}", field_error.message)),
        });
        match (read, wrong) {
            (Ok(()), None) => Ok(Self(members)),
            (Ok(()), Some(wrong)) => Err(Malformed(wrong)),
            (Err(_), _) => Err(Malformed("not a JSON object".to_owned())),
        }
    }

    /// A member that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        look: impl FnOnce(Raw<'a>) -> FieldResult<T>,
    ) -> Result<T, Malformed> {
        self.optional(name, look)?.ok_or_else(|| Malformed(format!("{name}: missing")))
    }

    /// A member that may be there; `null` is a value like any other.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        look: impl FnOnce(Raw<'a>) -> FieldResult<T>,
    ) -> Result<Option<T>, Malformed> {
        let Some(value) = self.take(name) else { return Ok(None) };
        look(value).map(Some).map_err(|field_error| Malformed(format!("{name}: {}", field_error.message)))
    }

    /// The value of a member as it stands there.
    pub(super) fn take(&mut self, name: &str) -> Option<Raw<'a>> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// The names of those.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Nothing is left that nobody asked for.
    pub(super) fn end(self) -> Result<(), Malformed> {
        match self.0.first() {
            Some((name, _)) => Err(Malformed(format!("{}: unknown member", name.escape_debug()))),
            None => Ok(()),
        }
    }
}

/// Texts in a list.
pub(super) fn texts(value: Raw<'_>, most: usize) -> FieldResult<Vec<String>> {
    let values = json_values::array_of(value, 0, most)?;
    values.into_iter().map(|value| json_values::string(value).map(Cow::into_owned)).collect()
}

/// A text that names something, of `1..=most` characters without those that hide or break lines.
pub(super) fn plain_text(value: Raw<'_>, most: usize) -> FieldResult<String> {
    let text = json_values::string(value)?;
    if is_plain(&text, most) {
        return Ok(text.into_owned());
    }
    let message = format!("Must be 1 to {most} characters, none of them a control");
    Err(json_values::field_error(super::validation::ProblemCode::InvalidValue, message))
}

/// Line separators and what turns the direction of text around forge lines of logs as control characters do.
fn is_plain(text: &str, most: usize) -> bool {
    let is_hidden = |c: char| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (1..=most).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() || is_hidden(c))
}
