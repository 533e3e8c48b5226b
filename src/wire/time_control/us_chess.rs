//! How US Chess writes controls: `G/90 inc30`, `40/120 SD/60 d5`, in minutes; increments and delays in seconds, for all stages.
//! Does not know other notations.

use crate::engine::{Control, Millis, StageSystem, System};

use super::lexer::{Token, count};

/// Reads a notation in which `G/` or `SD/` stands.
pub(super) fn read(tokens: &[Token<'_>]) -> Result<Control, String> {
    let mut times = Vec::new();
    let mut rest = tokens;
    loop {
        rest = match rest {
            [Token::Sign(','), after @ ..] => after,
            [Token::Word("g" | "sd"), Token::Sign('/'), Token::Number(minutes), after @ ..] => {
                times.push((None, Millis::new(*minutes * 60)));
                after
            }
            [Token::Number(moves), Token::Sign('/'), Token::Number(minutes), after @ ..] => {
                times.push((Some(count(*moves)?), Millis::new(*minutes * 60)));
                after
            }
            _ => break,
        };
    }
    let (is_delay, extra) = match *rest {
        [] => (false, Millis::ZERO),
        [Token::Word("d"), Token::Number(seconds)] => (true, Millis::new(seconds)),
        [Token::Word("d"), Token::Sign('/'), Token::Number(seconds)] => (true, Millis::new(seconds)),
        [Token::Word("inc"), Token::Number(seconds)] => (false, Millis::new(seconds)),
        [Token::Word("inc"), Token::Sign('/'), Token::Number(seconds)] => (false, Millis::new(seconds)),
        _ => return Err("Must be like G/60 d5, G/90 inc30 or 40/120 SD/60 d5".to_owned()),
    };
    let is_last = |position: usize| position + 1 == times.len();
    if times.iter().enumerate().any(|(position, (moves, _))| moves.is_none() != is_last(position)) {
        return Err("G/ or SD/ must stand last, and once".to_owned());
    }
    let given = times.iter().map(|&(moves, base)| {
        let system = match (is_delay, extra) {
            (_, Millis::ZERO) => System::Absolute { base },
            (true, delay) => System::Delay { base, delay },
            (false, increment) => System::Fischer { base, increment, cap: None, from_start: false },
        };
        StageSystem { moves, system }
    });
    Ok(Control::staged(given.collect(), false))
}
