//! Arguments of commands: numbers, options, ranges. Does not know which command has which.

use super::reply::Reply;

/// The arguments of a command, its name aside.
pub(super) type Args<'a> = &'a [Vec<u8>];

/// The result of a command; an error is its reply, too.
pub(super) type Result<T = Reply> = std::result::Result<T, Reply>;

/// An argument that must be an integer.
pub(super) fn integer(arg: &[u8]) -> Result<i64> {
    number(arg).ok_or_else(|| Reply::err("value is not an integer or out of range"))
}

/// An integer in the only form that Redis takes: no plus, no leading zeros, no space.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A score; whole numbers and infinities are enough here.
pub(super) fn score(arg: &[u8], what: &str) -> Result<f64> {
    let text = std::str::from_utf8(arg).unwrap_or("");
    let score = match text {
        "-inf" => Some(f64::NEG_INFINITY),
        "+inf" | "inf" => Some(f64::INFINITY),
        _ => text.parse().ok().filter(|score: &f64| !score.is_nan()),
    };
    score.ok_or_else(|| Reply::err(what))
}

/// A word that is compared without case.
pub(super) fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// The indices from `start` to `stop`, both counted from the end if they are negative; `None` when there are none.
pub(super) fn range(len: usize, start: i64, stop: i64) -> Option<std::ops::RangeInclusive<usize>> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_end = |index: i64| if index < 0 { len + index } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop { None } else { Some(usize::try_from(start).ok()?..=usize::try_from(stop).ok()?) }
}

pub(super) fn syntax_error() -> Reply {
    Reply::err("syntax error")
}
