//! Ids of events. Does not know what happened.

use crate::engine::{Timestamp, Uuid};
use crate::random;

/// A name that nobody else gives, of version 7 (RFC 9562, section 5.7): names of one time are neighbours, so that an
/// index of them grows at its end.
pub(super) fn uuid(at: Timestamp) -> Uuid {
    let time = u128::from(at.as_ms()) << 80;
    let random = u128::from(random::bits()) << 64 | u128::from(random::bits());
    let random = random & !(u128::MAX << 80) & !(0xf << 76) & !(0b11 << 62);
    Uuid::from_bits(time | 7 << 76 | 0b10 << 62 | random)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::uuid;
    use crate::engine::{Timestamp, Uuid};

    #[test]
    fn names_are_in_the_order_of_their_time_and_never_the_same() {
        // The time of the example in RFC 9562, appendix A.6.
        let ms = 0x017f_22e2_79b0;
        let names: Vec<_> = (0..1_000).map(|n| uuid(Timestamp::from_ms(ms + n / 100))).collect();
        assert!(names.chunks(100).is_sorted_by(|a, b| a.iter().max() < b.iter().min()));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for name in names {
            let text = name.to_string();
            assert!(text.starts_with("017f22e2-79") && text[14..].starts_with('7'), "{text}");
            assert_eq!(Uuid::parse(&text), Some(name), "it is one of ours");
        }
    }
}
