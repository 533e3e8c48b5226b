//! A notation as numbers, words and signs. Space stands between two of them and means nothing else. Does not know what they
//! say together.

/// A part of a notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A number, in thousandths: `1.5` and `1½` are 1500.
    Number(u64),
    /// Letters, as they stand in the text, which is lower case.
    Word(&'a str),
    /// Anything else.
    Sign(char),
}

/// The greatest number.
const NUMBER_MAX: u64 = 99_999_999;

/// The parts of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if first.is_ascii_digit() || fraction(first).is_some() {
            let (number, len) = number(rest)?;
            found.push(Token::Number(number));
            len
        } else if first.is_ascii_alphabetic() {
            let len = rest.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(rest.len());
            found.push(Token::Word(&rest[..len]));
            len
        } else if first.is_ascii_graphic() {
            found.push(Token::Sign(first));
            1
        } else {
            return Err("Must be ASCII, but for ¼ ½ ¾".to_owned());
        };
        rest = rest[len..].trim_start();
    }
    Ok(found)
}

fn fraction(character: char) -> Option<u64> {
    match character {
        '¼' => Some(250),
        '½' => Some(500),
        '¾' => Some(750),
        _ => None,
    }
}

/// The number that `text` begins with, and how long it is there.
fn number(text: &str) -> Result<(u64, usize), String> {
    let digits = |text: &str| text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    let whole_len = digits(text);
    let whole: u64 = if whole_len == 0 { 0 } else { text[..whole_len].parse().unwrap_or(u64::MAX) };
    if whole > NUMBER_MAX {
        return Err(format!("Numbers must be at most {NUMBER_MAX}"));
    }
    let rest = &text[whole_len..];
    if let Some((part, sign)) = rest.chars().next().and_then(|next| fraction(next).map(|part| (part, next))) {
        return Ok((whole * 1_000 + part, whole_len + sign.len_utf8()));
    }
    let Some(decimals) = rest.strip_prefix('.') else { return Ok((whole * 1_000, whole_len)) };
    let len = digits(decimals);
    if len == 0 || len > 3 {
        return Err("Decimals must have one to three digits".to_owned());
    }
    let part: u64 = format!("{:0<3}", &decimals[..len]).parse().unwrap_or_default();
    Ok((whole * 1_000 + part, whole_len + 1 + len))
}

/// A count: a whole number.
pub(super) fn count(thousandths: u64) -> Result<u64, String> {
    if thousandths.is_multiple_of(1_000) {
        Ok(thousandths / 1_000)
    } else {
        Err("A number of moves or periods must be whole".to_owned())
    }
}

/// A number as it was written, but for zeros.
pub(super) fn shown(thousandths: u64) -> String {
    let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
    if part == 0 { whole.to_string() } else { format!("{whole}.{part:03}").trim_end_matches('0').to_owned() }
}
