//! JSON as a tree, read as simply as can be, for oracles: numbers stay text, strings stay literals, objects keep all members
//! in order. Does not know what is read; shares no code with the server.

/// How deep a text may be that is read here: this reader recurses.
const DEPTH_MAX: usize = 1_000;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    /// In its shortest form, with quotes.
    String(JsonString),
    Array(Vec<Json>),
    Object(Vec<(JsonString, Json)>),
}

/// A string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JsonString {
    Text(String),
    /// The literal of what is no text, since it has lone surrogates.
    Broken(String),
}

impl JsonString {
    fn of(literal: &str) -> Self {
        match serde_json::from_str(literal) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Broken(literal.to_owned()),
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Broken(_) => None,
        }
    }

    fn literal(&self) -> String {
        match self {
            Self::Text(text) => serde_json::to_string(text).expect("a text can be written"),
            Self::Broken(literal) => literal.clone(),
        }
    }
}

impl Json {
    /// Reads valid JSON; `None` when it is too deep to be read here.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        value(&mut rest, 0)
    }

    /// The last member of that name, as JavaScript has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Json> {
        self.members().iter().rev().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    pub(crate) fn members(&self) -> &[(JsonString, Json)] {
        match self {
            Json::Object(members) => members,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Json::String(string) => string.text(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Json::Object(_))
    }

    /// As compact JSON, with each name once.
    pub(crate) fn compact(&self) -> String {
        match self {
            Json::Null => "null".to_owned(),
            Json::Bool(value) => value.to_string(),
            Json::Number(text) => text.clone(),
            Json::String(string) => string.literal(),
            Json::Array(values) => format!("[{}]", values.iter().map(Json::compact).collect::<Vec<_>>().join(",")),
            Json::Object(members) => {
                let members = unique(members);
                let member = |(name, value): &(JsonString, Json)| format!("{}:{}", name.literal(), value.compact());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The same with every name as often as it was given.
    pub(crate) fn len_with_repetitions(&self) -> usize {
        match self {
            Json::Array(values) => 1 + values.iter().map(|value| value.len_with_repetitions() + 1).sum::<usize>(),
            Json::Object(members) => {
                1 + members
                    .iter()
                    .map(|(name, value)| name.literal().len() + 2 + value.len_with_repetitions())
                    .sum::<usize>()
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => self.compact().len(),
        }
    }

    /// How deep it is: 0 for what is neither an array nor an object.
    pub(crate) fn depth(&self) -> usize {
        let inner = match self {
            Json::Array(values) => values.iter().map(Json::depth).max(),
            Json::Object(members) => members.iter().map(|(_, value)| value.depth()).max(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return 0,
        };
        1 + inner.unwrap_or(0)
    }

    /// Calls `each` with every value inside, and itself.
    pub(crate) fn visit(&self, each: &mut impl FnMut(&Json)) {
        each(self);
        match self {
            Json::Array(values) => values.iter().for_each(|value| value.visit(each)),
            Json::Object(members) => {
                for (name, value) in members {
                    each(&Json::String(name.clone()));
                    value.visit(each);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}

/// Each name once: where it stands first, with what it has last.
pub(crate) fn unique(members: &[(JsonString, Json)]) -> Vec<(JsonString, Json)> {
    let mut unique: Vec<(JsonString, Json)> = Vec::new();
    for (name, value) in members {
        match unique.iter_mut().find(|(known, _)| known == name) {
            Some((_, first)) => *first = value.clone(),
            None => unique.push((name.clone(), value.clone())),
        }
    }
    unique
}

fn space(rest: &mut &str) {
    *rest = rest.trim_start_matches([' ', '\n', '\t', '\r']);
}

fn takes(rest: &mut &str, token: &str) -> bool {
    space(rest);
    let after = rest.strip_prefix(token);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

fn value(rest: &mut &str, depth: usize) -> Option<Json> {
    if depth > DEPTH_MAX {
        return None;
    }
    space(rest);
    let number_len = rest.find(|next: char| !"+-.eE0123456789".contains(next)).unwrap_or(rest.len());
    Some(match rest.as_bytes().first()? {
        b'"' => Json::String(string(rest)?),
        b'[' => {
            takes(rest, "[");
            let mut values = Vec::new();
            while !takes(rest, "]") {
                values.push(value(rest, depth + 1)?);
                takes(rest, ",");
            }
            Json::Array(values)
        }
        b'{' => {
            takes(rest, "{");
            let mut members = Vec::new();
            while !takes(rest, "}") {
                space(rest);
                let name = string(rest)?;
                takes(rest, ":");
                members.push((name, value(rest, depth + 1)?));
                takes(rest, ",");
            }
            Json::Object(members)
        }
        b't' => takes(rest, "true").then_some(Json::Bool(true))?,
        b'f' => takes(rest, "false").then_some(Json::Bool(false))?,
        b'n' => takes(rest, "null").then_some(Json::Null)?,
        _ => {
            let (number, after) = rest.split_at(number_len);
            *rest = after;
            (!number.is_empty()).then(|| Json::Number(number.to_owned()))?
        }
    })
}

fn string(rest: &mut &str) -> Option<JsonString> {
    let mut is_escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, next)| {
        let is_end = *next == '"' && !is_escaped;
        is_escaped = *next == '\\' && !is_escaped;
        is_end
    });
    let (literal, after) = rest.split_at(end?.0 + 1);
    *rest = after;
    Some(JsonString::of(literal))
}
