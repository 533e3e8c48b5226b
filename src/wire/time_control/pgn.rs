//! The TimeControl tag of PGN: fields with `:` between them, in seconds. Does not know other notations.

use crate::engine::{Control, Millis, StageSystem, System};

use super::lexer::{Token, count, tokens};

/// Reads what follows the prefix.
pub(super) fn read(text: &str) -> Result<Control, String> {
    let tokens = tokens(text)?;
    match tokens[..] {
        [] => return Err("Must not be empty".to_owned()),
        [Token::Sign('?')] => return Err("An unknown time control cannot be kept".to_owned()),
        [Token::Sign('*'), Token::Number(seconds)] => {
            return Ok(Control::of(System::Hourglass { base: Millis::new(seconds), delay: Millis::ZERO }));
        }
        _ => {}
    }
    let fields: Vec<_> = tokens.split(|token| *token == Token::Sign(':')).collect();
    let given = fields.iter().map(|field| stage(field)).collect::<Result<Vec<_>, _>>()?;
    let (last, before) = given.split_last().ok_or("Must not be empty")?;
    if before.iter().any(|one| one.moves.is_none()) {
        return Err("Every field but the last must say after how many moves it ends, as in 40/7200:3600".to_owned());
    }
    if before.is_empty()
        && last.moves.is_none()
        && let System::Fischer { base, increment, .. } = last.system
    {
        return Ok(fischer(base, increment));
    }
    let repeat = last.moves.is_some();
    Ok(Control::staged(given.into(), repeat))
}

/// `moves/seconds+increment`, of which the seconds must be there; `d` behind the increment makes it a delay.
fn stage(field: &[Token<'_>]) -> Result<StageSystem, String> {
    let (moves, rest) = match field {
        [Token::Number(moves), Token::Sign('/'), rest @ ..] => (Some(count(*moves)?), rest),
        rest => (None, rest),
    };
    let system = match *rest {
        [Token::Number(base)] => System::Absolute { base: Millis::new(base) },
        [Token::Number(base), Token::Sign('+'), Token::Number(0)] => System::Absolute { base: Millis::new(base) },
        [Token::Number(base), Token::Sign('+'), Token::Number(increment)] => {
            System::Fischer { base: Millis::new(base), increment: Millis::new(increment), cap: None, from_start: false }
        }
        [Token::Number(base), Token::Sign('+'), Token::Number(delay), Token::Word("d")] => {
            System::Delay { base: Millis::new(base), delay: Millis::new(delay) }
        }
        _ => return Err("A field must be like 300, 300+3, 300+5d, 40/7200 or 40/7200+30, in seconds".to_owned()),
    };
    Ok(StageSystem { moves, system })
}

/// An increment on top of nothing is there from the start.
pub(super) fn fischer(base: Millis, increment: Millis) -> Control {
    if increment.is_zero() {
        return Control::of(System::Absolute { base });
    }
    Control::of(System::Fischer { base, increment, cap: None, from_start: base.is_zero() })
}
