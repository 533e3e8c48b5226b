//! Notations in which every length has a unit: `10m+5x30s`, `1h+25/10m`, `3d/move`. Does not know other notations.

use crate::engine::{Control, Millis, System};

use super::lexer::{Token, count, shown};

/// Reads a notation whose lengths have units.
pub(super) fn read(tokens: &[Token<'_>]) -> Result<Control, String> {
    system(tokens).map(Control::of)
}

fn system(tokens: &[Token<'_>]) -> Result<System, String> {
    if let [Token::Word("hg"), rest @ ..] = tokens {
        let base = only(rest)?;
        return Ok(System::Hourglass { base, delay: Millis::ZERO });
    }
    if let Some(overtime) = overtime(Millis::ZERO, tokens)? {
        return Ok(overtime);
    }
    let (first, rest) = length(tokens)?;
    match rest {
        [] => Ok(System::Absolute { base: first }),
        [Token::Sign('/'), Token::Word("move")] => Ok(System::PerMove { move_time: first }),
        [Token::Word("d"), rest @ ..] => Ok(System::Delay { base: first, delay: only(rest)? }),
        [Token::Word("b"), rest @ ..] => {
            Ok(System::Bronstein { base: first, delay: only(rest)?, flags_at_main: false })
        }
        [Token::Sign('+'), rest @ ..] => after_plus(first, rest),
        _ => Err(unreadable()),
    }
}

/// What follows a main time and `+`.
fn after_plus(base: Millis, rest: &[Token<'_>]) -> Result<System, String> {
    if let Some(overtime) = overtime(base, rest)? {
        return Ok(overtime);
    }
    let (second, rest) = length(rest)?;
    let from_start = base.is_zero();
    match rest {
        [] if second.is_zero() => Ok(System::Absolute { base }),
        [] => Ok(System::Fischer { base, increment: second, cap: None, from_start }),
        [Token::Word("bank")] => Ok(System::Bank { move_time: base, bank: second, increment: Millis::ZERO, cap: None }),
        [Token::Word("max"), rest @ ..] => {
            Ok(System::Fischer { base, increment: second, cap: Some(only(rest)?), from_start })
        }
        _ => Err(unreadable()),
    }
}

/// Byoyomi, or canadian in either order: the number without a unit is the moves.
fn overtime(base: Millis, tokens: &[Token<'_>]) -> Result<Option<System>, String> {
    match tokens {
        [Token::Number(periods), Token::Word("x"), rest @ ..] => {
            let (periods, period) = (count(*periods)?, only(rest)?);
            Ok(Some(System::Byoyomi { base, period, periods, increment: Millis::ZERO }))
        }
        [Token::Number(moves), Token::Sign('/'), rest @ ..] => {
            Ok(Some(System::Canadian { base, period: only(rest)?, moves: count(*moves)? }))
        }
        _ => match length(tokens) {
            Ok((period, [Token::Sign('/'), Token::Number(moves)])) => {
                Ok(Some(System::Canadian { base, period, moves: count(*moves)? }))
            }
            Ok(_) | Err(_) => Ok(None),
        },
    }
}

/// A length and nothing behind it.
fn only(tokens: &[Token<'_>]) -> Result<Millis, String> {
    match length(tokens)? {
        (length, []) => Ok(length),
        _ => Err(unreadable()),
    }
}

/// The length that begins here, as `90s` or `1h30m`, and what follows.
fn length<'t, 'a>(tokens: &'t [Token<'a>]) -> Result<(Millis, &'t [Token<'a>]), String> {
    let (mut sum, mut rest, mut least) = (Millis::ZERO, tokens, u64::MAX);
    while let [Token::Number(number), Token::Word(word), after @ ..] = rest {
        let Some(unit) = unit(word).filter(|unit| *unit < least) else { break };
        (sum, rest, least) = (sum + Millis::new(number.saturating_mul(unit)), after, unit);
    }
    if least == u64::MAX {
        return Err(match tokens {
            [Token::Number(number), ..] => {
                let number = shown(*number);
                format!("{number} has no unit: {number}s or {number}m? Units are s, m, h, d")
            }
            _ => unreadable(),
        });
    }
    Ok((sum, rest))
}

/// A unit, in seconds.
fn unit(word: &str) -> Option<u64> {
    match word {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    }
}

fn unreadable() -> String {
    "Must be like 5+3, 90m+30s, 90m d5s, 10m+5x30s, 1h+25/10m, 30s/move or 40/7200:3600".to_owned()
}
