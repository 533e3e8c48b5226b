//! Notations that are read by their prefix only: SGF's TM and OT, and lishogi's. Does not know other notations.

use crate::engine::{Control, Millis, System};

use super::lexer::{Token, count, tokens};

/// `sgf:TM;OT`, in seconds.
pub(super) fn sgf(text: &str) -> Result<Control, String> {
    let wrong = || "Must be like sgf:600;5x30 byo-yomi, sgf:600;15/300 canadian, sgf:600;30 fischer or sgf:0;60 simple";
    let (main, overtime) = text.split_once(';').unwrap_or((text, ""));
    let [Token::Number(base)] = tokens(main)?[..] else { return Err(wrong().to_owned()) };
    let base = Millis::new(base);
    let system = match tokens(overtime)?[..] {
        [] => System::Absolute { base },
        [Token::Number(periods), Token::Word("x"), Token::Number(period), ref name @ ..] if is_byoyomi(name) => {
            System::Byoyomi { base, period: Millis::new(period), periods: count(periods)?, increment: Millis::ZERO }
        }
        [Token::Number(moves), Token::Sign('/'), Token::Number(period), Token::Word("canadian")] => {
            System::Canadian { base, period: Millis::new(period), moves: count(moves)? }
        }
        [Token::Number(increment), Token::Word("fischer")] => {
            System::Fischer { base, increment: Millis::new(increment), cap: None, from_start: base.is_zero() }
        }
        [Token::Number(move_time), Token::Word("simple")] if base.is_zero() => {
            System::PerMove { move_time: Millis::new(move_time) }
        }
        _ => return Err(wrong().to_owned()),
    };
    Ok(Control::of(system))
}

fn is_byoyomi(name: &[Token<'_>]) -> bool {
    matches!(name, [Token::Word("byoyomi")] | [Token::Word("byo"), Token::Sign('-'), Token::Word("yomi")])
}

/// `lishogi:minutes+increment|period(periodsx)`, all but the minutes in seconds.
pub(super) fn lishogi(text: &str) -> Result<Control, String> {
    let wrong = || "Must be like lishogi:10|30 or lishogi:5+10|20(2x)";
    let tokens = tokens(text)?;
    let (main, rest) = match tokens[..] {
        [Token::Number(minutes), Token::Sign('+'), Token::Number(increment), Token::Sign('|'), ref rest @ ..] => {
            ((minutes, increment), rest)
        }
        [Token::Number(minutes), Token::Sign('|'), ref rest @ ..] => ((minutes, 0), rest),
        _ => return Err(wrong().to_owned()),
    };
    let (period, periods) = match *rest {
        [Token::Number(period)] => (period, 1),
        [Token::Number(period), Token::Sign('('), Token::Number(periods), Token::Word("x"), Token::Sign(')')] => {
            (period, count(periods)?)
        }
        _ => return Err(wrong().to_owned()),
    };
    Ok(Control::of(System::Byoyomi {
        base: Millis::new(main.0 * 60),
        period: Millis::new(period),
        periods,
        increment: Millis::new(main.1),
    }))
}
