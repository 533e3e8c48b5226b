//! Grants: which sessions, as which participants, with which permissions. They only add to each other. Does not know who has
//! them.

use std::fmt;

use crate::engine::{ParticipantId, SessionId, Uuid};

use super::permission::Permissions;

/// Prefixes of ids have at least this many digits.
const PREFIX_DIGITS_MIN: u32 = 8;
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) sessions: Box<[SessionPattern]>,
    pub(super) participants: Box<[ParticipantId]>,
    pub(super) allow: Permissions,
}

impl Grant {
    /// Whether it is about a session.
    pub(super) fn covers(&self, id: SessionId) -> bool {
        self.sessions.iter().any(|pattern| pattern.matches(id))
    }
}

/// Some sessions, whether they exist or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPattern {
    /// Every session.
    All,
    /// One.
    One(SessionId),
    /// Those whose ids begin with the same digits.
    Prefix {
        /// The digits, the first one highest.
        bits: u128,
        /// How many bits are not looked at.
        free: u32,
    },
}

impl SessionPattern {
    /// Reads an id, the first digits of one in canonical form with `*` behind them, or `*`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let Some(prefix) = text.strip_suffix('*') else { return Uuid::parse(text).map(|id| Self::One(SessionId(id))) };
        let (mut bits, mut digits) = (0_u128, 0);
        for (place, character) in prefix.char_indices() {
            match character {
                '-' if DASHES.contains(&place) => {}
                '0'..='9' | 'a'..='f' if !DASHES.contains(&place) && digits < 32 => {
                    bits = bits << 4 | u128::from(character.to_digit(16)?);
                    digits += 1;
                }
                _ => return None,
            }
        }
        if !(PREFIX_DIGITS_MIN..32).contains(&digits) {
            return None;
        }
        let free = 128 - 4 * digits;
        Some(Self::Prefix { bits: bits << free, free })
    }

    /// Whether a session is one of them.
    pub fn matches(self, id: SessionId) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == id,
            Self::Prefix { bits, free } => (id.0.bits() ^ bits) >> free == 0,
        }
    }
}

/// As it is written.
impl fmt::Display for SessionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::All => f.write_str("*"),
            Self::One(id) => id.fmt(f),
            Self::Prefix { bits, free } => {
                let text = Uuid::from_bits(bits).to_string();
                let digits = 32 - free as usize / 4;
                let mut seen = 0;
                let len = text.bytes().position(|byte| {
                    seen += usize::from(byte != b'-');
                    seen > digits
                });
                write!(f, "{}*", text[..len.unwrap_or(text.len())].trim_end_matches('-'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SessionPattern;
    use crate::engine::{SessionId, Uuid};

    const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

    fn id(text: &str) -> SessionId {
        SessionId(Uuid::parse(text).expect("it is a UUID"))
    }

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, is_match) in [
            (ID, true),
            ("550E8400-E29B-41D4-A716-446655440000", true),
            ("550e8400-e29b-41d4-a716-446655440001", false),
            ("*", true),
            ("550e8400*", true),
            ("550e8400-*", true),
            ("550e8400-e2*", true),
            ("550e8400-e29b-41d4-a716-44665544000*", true),
            ("550e8401*", false),
            ("550e8400-e29c*", false),
            ("00000000*", false),
        ] {
            let found = SessionPattern::parse(pattern).unwrap_or_else(|| panic!("{pattern} is one"));
            assert_eq!(found.matches(id(ID)), is_match, "{pattern}");
            assert_eq!(SessionPattern::parse(&found.to_string()), Some(found), "{found}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in [
            "",
            "**",
            "550e840*",
            "550e8400",
            "550e8400e*",
            "550e8400-e29b41*",
            "550E8400*",
            "550e*8400*",
            "*550e8400",
            "550e8400*-",
            "550e8400-*-*",
            "-550e8400*",
            "550e84g0*",
            " 550e8400*",
            "550e8400* ",
            "550e8400-e29b-41d4-a716-446655440000*",
            "550e8400-e29b-41d4-a716-4466554400001*",
            "550e8400\u{ff11}*",
        ] {
            assert_eq!(SessionPattern::parse(wrong), None, "{wrong}");
        }
    }
}
