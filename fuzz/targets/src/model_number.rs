//! What a JSON number amounts to, digit by digit, for oracles. Shares no code with the server.

/// A number: its sign, its digits before the point, and those behind it, zeros that mean nothing left out.
#[derive(Debug)]
pub(crate) struct Digits {
    pub(crate) is_negative: bool,
    before: String,
    behind: String,
    /// The exponent as it was written, or what is farther than any that is used.
    pub(crate) exponent: i64,
}

/// What is farther away is all the same.
const EXPONENT_FAR: i64 = 100_000;

impl Digits {
    pub(crate) fn of(number: &str) -> Self {
        let (is_negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let is_below = exponent.starts_with('-');
        let size = exponent.trim_start_matches(['-', '+']).trim_start_matches('0');
        let size = if size.len() > 5 { EXPONENT_FAR } else { size.parse().unwrap_or(0) };
        let exponent = if is_below { -size } else { size };
        let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (mut before, mut behind) = (before.to_owned(), behind.to_owned());
        if before.chars().chain(behind.chars()).all(|digit| digit == '0') {
            (before, behind) = (String::new(), String::new());
        }
        for _ in 0..exponent.max(0) {
            if before.is_empty() && behind.is_empty() {
                break;
            }
            before.push(if behind.is_empty() { '0' } else { behind.remove(0) });
            if behind.is_empty() && before.trim_start_matches('0').len() > 1_000 {
                break;
            }
        }
        for _ in 0..(-exponent).max(0) {
            if before.is_empty() {
                // However far it is, it is not zero and less than one.
                break;
            }
            behind.insert(0, before.pop().unwrap_or('0'));
        }
        let (before, behind) = (before.trim_start_matches('0'), behind.trim_end_matches('0'));
        Self { is_negative, before: before.to_owned(), behind: behind.to_owned(), exponent }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.before.is_empty() && self.behind.is_empty()
    }

    /// The whole part, or what is more than any that is allowed.
    pub(crate) fn whole(&self) -> u64 {
        if self.before.len() > 18 { u64::MAX } else { self.before.parse().unwrap_or(0) }
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.behind.is_empty()
    }
}
