//! Names of sessions, participants and groups. Owns the rule of what a UUID is and how it is shown;
//! does not know what is named.

use std::fmt;

/// A UUID as clients write it: 8-4-4-4-12 hex digits in either case, with version nibble 1 to 8 and
/// variant 8, 9, a or b, or the nil UUID, or the max UUID (RFC 9562, sections 4 and 5). Shown in
/// lower case.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

impl Uuid {
    /// Length of the text form in bytes.
    pub const TEXT_LEN: usize = 36;

    /// A UUID from its 128 bits, whatever they are.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits, the first hex digit highest.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Reads the text form; `None` when it is no UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let text: &[u8; Self::TEXT_LEN] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 16];
        let mut seen = 0;
        for (byte, position) in bytes.iter_mut().zip(POSITIONS) {
            let (high, low) = (DIGITS[usize::from(text[position])], DIGITS[usize::from(text[position + 1])]);
            *byte = high << 4 | low;
            seen |= high | low;
        }
        if seen == NO_DIGIT || DASHES.iter().any(|&position| text[position] != b'-') {
            return None;
        }
        let bits = u128::from_be_bytes(bytes);
        let version = bits >> 76 & 0xf;
        let variant = bits >> 62 & 0b11;
        let known = bits == 0 || bits == u128::MAX || (1..=8).contains(&version) && variant == 0b10;
        known.then_some(Self(bits))
    }

    /// A bucket among so many, evenly, whatever a client's ids have in common (multiplicative hashing: Knuth, The
    /// Art of Computer Programming, volume 3, 6.4).
    pub fn bucket(self, count: usize) -> usize {
        let folded = (self.0 >> 64) as u64 ^ self.0 as u64;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % count
    }

    /// The text form.
    pub fn text(self) -> [u8; Self::TEXT_LEN] {
        let mut text = [b'-'; Self::TEXT_LEN];
        for (byte, position) in self.0.to_be_bytes().into_iter().zip(POSITIONS) {
            text[position..position + 2].copy_from_slice(&PAIRS[usize::from(byte)]);
        }
        text
    }
}

/// The positions of each byte's two digits in the text, and of the dashes. Ids are read and written many times in every
/// request, hence by the byte and by tables.
const POSITIONS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
const DASHES: [usize; 4] = [8, 13, 18, 23];

const HEX: [u8; 16] = *b"0123456789abcdef";

/// What has no value as a digit.
const NO_DIGIT: u8 = 0xff;

/// Every byte's two digits.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [HEX[byte >> 4], HEX[byte & 0xf]];
        byte += 1;
    }
    pairs
};

/// Every character's value as a digit, in either case.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < HEX.len() {
        digits[HEX[value] as usize] = value as u8;
        digits[HEX[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    digits
};

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("hex digits and dashes are ASCII"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! name_of {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name_of! {
    /// Names a session.
    SessionId
}
name_of! {
    /// Names a participant within a session.
    ParticipantId
}
name_of! {
    /// Names a group of participants that share a clock.
    GroupId
}

#[cfg(test)]
mod tests {
    use super::Uuid;

    #[test]
    fn ids_that_have_much_in_common_are_spread() {
        for step in [1_u128, 2, 10, 64, 1_000, 1 << 32, 1 << 64, 1 << 96] {
            for count in [2_usize, 64] {
                let mut positions = vec![0; count];
                (0..6_400).for_each(|n| positions[Uuid::from_bits(n * step).bucket(count)] += 1);
                let most = positions.iter().max().copied().unwrap_or_default();
                assert!(most < 2 * 6_400 / count, "{most} of 6400 in one of {count} buckets, {step} apart");
            }
        }
    }

    #[test]
    fn reads_what_the_rule_allows_and_shows_it_in_lower_case() {
        for (text, shown) in [
            ("550e8400-e29b-41d4-a716-446655440000", Some("550e8400-e29b-41d4-a716-446655440000")),
            ("550E8400-E29B-81D4-BFFF-446655440000", Some("550e8400-e29b-81d4-bfff-446655440000")),
            ("00000000-0000-0000-0000-000000000000", Some("00000000-0000-0000-0000-000000000000")),
            ("FFFFFFFF-ffff-ffff-ffff-ffffffffffff", Some("ffffffff-ffff-ffff-ffff-ffffffffffff")),
            ("550e8400-e29b-01d4-a716-446655440000", None), // version 0
            ("550e8400-e29b-91d4-a716-446655440000", None), // version 9
            ("550e8400-e29b-41d4-7716-446655440000", None), // variant 7
            ("550e8400-e29b-41d4-c716-446655440000", None), // variant c
            ("550e8400e29b41d4a716446655440000", None),
            ("550e8400-e29b-41d4-a716-44665544000", None),
            ("550e8400-e29b-41d4-a716-4466554400000", None),
            ("550e8400-e29b-41d4-a716_446655440000", None),
            ("g50e8400-e29b-41d4-a716-446655440000", None),
            ("+50e8400-e29b-41d4-a716-446655440000", None),
            ("550e8400-e29b-41d4-a716-44665544000\u{e9}", None),
            ("", None),
        ] {
            assert_eq!(Uuid::parse(text).map(|id| id.to_string()).as_deref(), shown, "{text}");
        }
    }
}
