//! What fields of requests must be, said again in plain words, for oracles: each look at a value gives it or says which kind
//! of problem it is. Shares no code with the server.

use synckairos::engine::{Millis, Mode, OnTimeout, Uuid};

use crate::model::Json;
use crate::model_number::Digits;

/// A value, or the code of what is wrong with it.
pub(crate) type Looked<T> = Result<T, &'static str>;

/// Problems that are listed, by field and code.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Problems(pub(crate) Vec<(String, &'static str)>);

impl Problems {
    pub(crate) const MOST: usize = 32;

    pub(crate) fn add(&mut self, field: String, code: &'static str) {
        match self.0.len() {
            len if len < Self::MOST => self.0.push((field, code)),
            Self::MOST => self.0.push((String::new(), "truncated")),
            _ => {}
        }
    }

    /// Whether no more is looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() > Self::MOST
    }

    /// What `look` finds in a member, if it is there and right.
    pub(crate) fn optional<T>(
        &mut self,
        of: &Json,
        before: &str,
        name: &str,
        look: impl FnOnce(&Json) -> Looked<T>,
    ) -> Option<T> {
        match look(of.member(name)?) {
            Ok(value) => Some(value),
            Err(code) => {
                self.add(format!("{before}{name}"), code);
                None
            }
        }
    }

    /// The same for a member that must be there.
    pub(crate) fn required<T>(
        &mut self,
        of: &Json,
        before: &str,
        name: &str,
        look: impl FnOnce(&Json) -> Looked<T>,
    ) -> Option<T> {
        if of.member(name).is_none() {
            self.add(format!("{before}{name}"), "invalid_type");
        }
        self.optional(of, before, name, look)
    }
}

pub(crate) fn uuid(value: &Json) -> Looked<Uuid> {
    let Json::String(string) = value else { return Err("invalid_type") };
    let text = string.text().ok_or("invalid_format")?;
    uuid_of(text).ok_or("invalid_format")
}

pub(crate) fn uuid_of(text: &str) -> Option<Uuid> {
    let form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let fits = |(at, expected): (char, char)| if expected == 'x' { at.is_ascii_hexdigit() } else { at == '-' };
    if text.len() != form.len() || !text.chars().zip(form.chars()).all(fits) {
        return None;
    }
    let digits = text.replace('-', "").to_ascii_lowercase();
    let is_special = digits.chars().all(|digit| digit == '0') || digits.chars().all(|digit| digit == 'f');
    let (version, variant) = (digits.as_bytes()[12], digits.as_bytes()[16]);
    let is_known = (b'1'..=b'8').contains(&version) && b"89ab".contains(&variant);
    (is_special || is_known).then(|| u128::from_str_radix(&digits, 16).ok().map(Uuid::from_bits))?
}

pub(crate) fn integer(value: &Json, least: u64, most: u64) -> Looked<u64> {
    let Json::Number(number) = value else { return Err("invalid_type") };
    let digits = Digits::of(number);
    let whole = digits.whole();
    if digits.is_negative && !digits.is_zero() || whole < least {
        return Err("too_small");
    }
    if whole > most || whole == most && digits.has_more() {
        return Err("too_big");
    }
    if digits.has_more() { Err("invalid_type") } else { Ok(whole) }
}

pub(crate) fn time(value: &Json) -> Looked<Millis> {
    integer(value, 1_000, 86_400_000).map(Millis::new)
}

pub(crate) fn increment(value: &Json) -> Looked<Millis> {
    integer(value, 0, 60_000).map(Millis::new)
}

pub(crate) fn threshold(value: &Json) -> Looked<Millis> {
    integer(value, 1, 86_400_000).map(Millis::new)
}

pub(crate) fn version(value: &Json) -> Looked<u64> {
    integer(value, 1, (1 << 53) - 1)
}

pub(crate) fn mode(value: &Json) -> Looked<Mode> {
    match value.text() {
        Some("per_participant") => Ok(Mode::PerParticipant),
        Some("per_cycle") => Ok(Mode::PerCycle),
        Some("per_group") => Ok(Mode::PerGroup),
        Some("global") => Ok(Mode::Global),
        Some("count_up") => Ok(Mode::CountUp),
        Some(_) | None => Err("invalid_value"),
    }
}

pub(crate) fn on_timeout(value: &Json) -> Looked<OnTimeout> {
    match value.text() {
        Some("expire") => Ok(OnTimeout::Expire),
        Some("advance") => Ok(OnTimeout::Advance),
        Some("notify") => Ok(OnTimeout::Notify),
        Some(_) | None => Err("invalid_value"),
    }
}

pub(crate) fn list(value: &Json, least: usize, most: usize) -> Looked<Vec<Json>> {
    match value {
        Json::Array(values) if values.len() > most => Err("too_big"),
        Json::Array(values) if values.len() < least => Err("too_small"),
        Json::Array(values) => Ok(values.clone()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => Err("invalid_type"),
    }
}

/// What the oracle does not know: where a bound depends on how far the reader had come.
pub(crate) const UNSURE: &str = "unsure";

/// An object within the bounds of metadata, as compact JSON of `most` bytes.
pub(crate) fn metadata(value: &Json, most: usize) -> Looked<String> {
    if !value.is_object() {
        return Err("invalid_type");
    }
    let mut codes = Vec::new();
    if value.depth() > 100 {
        codes.push("too_big");
    }
    let len = value.compact().len();
    if len > most {
        codes.push("too_big");
    } else if value.len_with_repetitions() + 2 > most {
        codes.push(UNSURE);
    }
    value.visit(&mut |inside| match inside {
        Json::Number(number) => {
            let exponent = Digits::of(number).exponent.abs();
            let float: f64 = number.parse().unwrap_or(f64::INFINITY);
            if exponent > 308 || float.is_infinite() {
                codes.push("too_big");
            } else if float.abs() > 1.797e308 {
                codes.push(UNSURE);
            }
        }
        Json::String(string) => match string.text() {
            Some(text) if text.contains('\0') => codes.push("invalid_value"),
            Some(_) => {}
            None => codes.push("invalid_value"),
        },
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {}
    });
    let is_mixed = codes.contains(&"too_big") && codes.contains(&"invalid_value");
    match codes.first() {
        None => Ok(value.compact()),
        Some(_) if is_mixed || codes.contains(&UNSURE) => Err(UNSURE),
        Some(code) => Err(code),
    }
}
