//! JSON made compact: no space between tokens, each string in its shortest form, and of names that an object repeats
//! the first one's place with the last one's value, as JavaScript reads it. Takes time in proportion to the text. Does
//! not know what the JSON is for.

use std::collections::HashMap;
use std::ops::Range;

use super::decimal::Decimal;
use super::json_values::{self, FieldResult, field_error};
use super::validation::ProblemCode;
use super::write::Write;

/// How deep what is given may be nested: what JSON readers take by default.
const DEPTH_MAX: usize = 100;
/// How far from zero the exponent of a number that is given may be. A database that stores numbers in full writes out as
/// many digits.
const EXPONENT_MAX: i32 = 308;
/// Objects with so many members or fewer are looked through member by member.
pub(super) const MEMBERS_FEW: usize = 16;

/// Makes a client's JSON compact. Refuses what is longer than `len_max` bytes of compact JSON, is nested too deep, or
/// could not be stored in a database: NUL, lone surrogates, numbers beyond 64-bit floats, and exponents without end.
pub(super) fn given(json: &str, len_max: usize) -> FieldResult<String> {
    let mut text = Compact::default();
    let mut rest = json;
    while let Some(&first) = rest.as_bytes().first() {
        let (token, after) = rest.split_at(token_len(rest));
        rest = after;
        match first {
            b'{' | b'[' if text.open.len() == DEPTH_MAX => {
                return Err(field_error(ProblemCode::TooBig, format!("Must be nested at most {DEPTH_MAX} deep")));
            }
            b'-' | b'0'..=b'9' => {
                let number = Decimal::read(token);
                if number.exponent.unsigned_abs() > EXPONENT_MAX.unsigned_abs() {
                    return Err(field_error(
                        ProblemCode::TooBig,
                        format!("Must not contain exponents beyond {EXPONENT_MAX}"),
                    ));
                }
                if !number.fits_float() {
                    return Err(field_error(ProblemCode::TooBig, "Must not contain numbers beyond 64-bit floats"));
                }
                text.token(first, token);
            }
            b'"' if token.contains('\\') => text.token(first, &shortest(&json_values::text(token)?)),
            _ => text.token(first, token),
        }
        if text.out.len() > len_max {
            return Err(field_error(ProblemCode::TooBig, format!("Must be at most {len_max} bytes of JSON")));
        }
    }
    Ok(text.out)
}

/// Makes stored JSON compact, whatever is in it.
pub(super) fn kept(json: &str) -> String {
    let mut text = Compact::default();
    let mut rest = json;
    while let Some(&first) = rest.as_bytes().first() {
        let (token, after) = rest.split_at(token_len(rest));
        rest = after;
        let is_escaped = first == b'"' && token.contains('\\');
        let said = if is_escaped { json_values::unescaped(token) } else { None };
        match said {
            Some(said) => text.token(first, &shortest(&said)),
            None => text.token(first, token),
        }
    }
    text.out
}

/// Compact JSON while it is made.
#[derive(Default)]
struct Compact {
    out: String,
    /// Objects and arrays that are not closed yet.
    open: Vec<OpenValue>,
    /// Members of the objects that are not closed yet.
    members: Vec<CompactMember>,
    /// A string that comes next is a name.
    expects_name: bool,
}

struct OpenValue {
    start: usize,
    is_object: bool,
    /// Where its members begin.
    members: usize,
}

#[derive(Clone)]
struct CompactMember {
    name: Range<usize>,
    value: Range<usize>,
}

impl Compact {
    fn token(&mut self, first: u8, token: &str) {
        match first {
            b' ' | b'\t' | b'\n' | b'\r' => return,
            b'{' | b'[' => {
                let (start, is_object) = (self.out.len(), first == b'{');
                self.open.push(OpenValue { start, is_object, members: self.members.len() });
                self.expects_name = is_object;
            }
            b',' => {
                self.end_value();
                self.expects_name = self.open.last().is_some_and(|open| open.is_object);
            }
            b'}' | b']' => {
                self.end_value();
                self.expects_name = false;
                self.close(token);
                return;
            }
            b'"' if self.expects_name => {
                let name = self.out.len()..self.out.len() + token.len();
                let begin = name.end + 1;
                self.members.push(CompactMember { name, value: begin..begin });
                self.expects_name = false;
            }
            _ => {}
        }
        self.out.push_str(token);
    }

    /// The value of the innermost object's last member, if it is an object, ends here.
    fn end_value(&mut self) {
        let (Some(open), at) = (self.open.last(), self.out.len()) else { return };
        if open.is_object
            && let Some(member) = self.members[open.members..].last_mut()
        {
            member.value.end = at;
        }
    }

    fn close(&mut self, token: &str) {
        let Some(open) = self.open.pop() else { return };
        if open.is_object
            && let Some(unique) = unique(&self.out, &self.members[open.members..])
        {
            let mut object = String::with_capacity(self.out.len() - open.start);
            for CompactMember { name, value } in unique {
                object.push(if object.is_empty() { '{' } else { ',' });
                object.push_str(&self.out[name]);
                object.push(':');
                object.push_str(&self.out[value]);
            }
            self.out.truncate(open.start);
            self.out.push_str(&object);
        }
        self.members.truncate(open.members);
        self.out.push_str(token);
    }
}

/// The members with a name each of its own; `None` when they have that already.
fn unique(text: &str, members: &[CompactMember]) -> Option<Vec<CompactMember>> {
    let name = |member: &CompactMember| &text[member.name.clone()];
    let has_few = members.len() <= MEMBERS_FEW;
    if has_few && members.iter().enumerate().all(|(n, one)| members[..n].iter().all(|other| name(other) != name(one))) {
        return None;
    }
    let mut positions = HashMap::with_capacity(members.len());
    let mut unique: Vec<CompactMember> = Vec::with_capacity(members.len());
    for member in members {
        let position = *positions.entry(name(member)).or_insert(unique.len());
        match unique.get_mut(position) {
            Some(first) => first.value = member.value.clone(),
            None => unique.push(member.clone()),
        }
    }
    (unique.len() < members.len()).then_some(unique)
}

/// The length of the first token of valid JSON. All space up to the next token counts as one.
fn token_len(json: &str) -> usize {
    let bytes = json.as_bytes();
    let len_while = |goes_on: fn(&u8) -> bool| bytes.iter().position(|byte| !goes_on(byte)).unwrap_or(bytes.len());
    match bytes[0] {
        b'"' => string_len(bytes),
        b' ' | b'\t' | b'\n' | b'\r' => len_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')),
        b'{' | b'}' | b'[' | b']' | b':' | b',' => 1,
        _ => len_while(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'}' | b']' | b',')),
    }
}

/// The length of the string that some JSON begins with, quotes included.
pub(super) fn string_len(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', json.get(at..).unwrap_or_default()) {
        at += found + 1;
        if json[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    json.len()
}

/// A string without needless escapes.
fn shortest(said: &str) -> String {
    let mut literal = Vec::with_capacity(said.len() + 2);
    literal.string(said);
    String::from_utf8(literal).expect("texts make a text")
}
