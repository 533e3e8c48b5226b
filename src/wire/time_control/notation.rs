//! Which reading a notation has: by its prefix, or by what stands in it. What could be read in two ways is refused with both.
//! Does not know the readings themselves.

use crate::engine::{Control, Millis, System};

use super::lexer::{Token, shown, tokens};
use super::{pgn, prefixed, united, us_chess};

/// More minutes than this without a unit may be meant as seconds.
const MINUTES_MAX: u64 = 180;

/// Reads a notation; `None` is the text that says that there is no control. The error says why it is none, for a person.
pub(super) fn read(text: &str) -> Result<Option<Control>, String> {
    let text = text.trim().to_lowercase();
    if text == "-" || text == "pgn:-" {
        return Ok(None);
    }
    for (prefix, reader) in [
        ("pgn:", pgn::read as fn(&str) -> Result<Control, String>),
        ("sgf:", prefixed::sgf),
        ("lishogi:", prefixed::lishogi),
    ] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return reader(rest).map(Some);
        }
    }
    unprefixed(&text).map(Some)
}

fn unprefixed(text: &str) -> Result<Control, String> {
    let tokens = tokens(text)?;
    let has = |wanted: &dyn Fn(&Token<'_>) -> bool| tokens.iter().any(wanted);
    if tokens.windows(2).any(|pair| matches!(pair, [Token::Word("g" | "sd"), Token::Sign('/')])) {
        return us_chess::read(&tokens);
    }
    match tokens[..] {
        [] => return Err("Must not be empty".to_owned()),
        [Token::Sign('?')] => return Err("An unknown time control cannot be kept".to_owned()),
        [Token::Number(number)] => {
            let number = shown(number);
            return Err(format!("{number} minutes or seconds? {number}m or pgn:{number}"));
        }
        [Token::Number(minutes), Token::Sign('+'), Token::Number(seconds)] => {
            if minutes > MINUTES_MAX * 1_000 {
                let (minutes, seconds) = (shown(minutes), shown(seconds));
                return Err(format!(
                    "{minutes} minutes? {minutes}m+{seconds}s; {minutes} seconds? pgn:{minutes}+{seconds}"
                ));
            }
            return Ok(pgn::fischer(Millis::new(minutes * 60), Millis::new(seconds)));
        }
        [Token::Word("hg"), Token::Number(seconds)] => {
            return Ok(Control::of(System::Hourglass { base: Millis::new(seconds), delay: Millis::ZERO }));
        }
        _ => {}
    }
    let has_words = has(&|token| matches!(token, Token::Word(_)));
    if !has_words && has(&|token| matches!(token, Token::Sign('/' | ':' | '*'))) {
        return pgn::read(text);
    }
    united::read(&tokens)
}
