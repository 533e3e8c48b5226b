//! What Redis' own clock is corrected by, for all instances: how it is written down in Redis, and how it fades. A pure
//! function of what is written there and of Redis' time, so that every instance computes the same. Does not know how
//! it is agreed on.

use std::str::FromStr;

/// Of the time that passes by Redis' clock a correction fades by one part in so many.
const FADING_PARTS: u64 = 1_000;
/// A correction, and a time, are not larger: two hundred years.
const LARGEST_US: u64 = 6_311_520_000_000_000;

/// The server clock less Redis' own, in microseconds, when it was agreed on. It fades from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Correction {
    pub(super) by_us: i64,
    /// When, by Redis' own clock.
    pub(super) at_us: u64,
    pub(super) cause: Cause,
}

/// Why a correction is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// An instance saw the clock step.
    Step {
        /// How long before that it had seen the clock as it should be.
        within_us: u64,
    },
    /// An instance saw it go on without a step, although something else was written, or nothing any more.
    Kept,
}

impl Correction {
    /// Redis' own clock is right.
    pub(super) const NONE: Self = Self { by_us: 0, at_us: 0, cause: Cause::Kept };

    /// The server clock when Redis' own says `raw_us`. Never goes back while that one does not.
    pub(super) fn applied_to(&self, raw_us: u64) -> u64 {
        if self.by_us == 0 {
            return raw_us;
        }
        let faded = raw_us.saturating_sub(self.at_us) / FADING_PARTS;
        let left = self.by_us.unsigned_abs().saturating_sub(faded);
        if self.by_us > 0 { raw_us.saturating_add(left) } else { raw_us.saturating_sub(left) }
    }

    /// As it is stored in Redis, such as `-15000123 1795888923000000 step 1000000`.
    pub(super) fn text(&self) -> String {
        let Self { by_us, at_us, cause } = self;
        match cause {
            Cause::Step { within_us } => format!("{by_us} {at_us} step {within_us}"),
            Cause::Kept => format!("{by_us} {at_us} kept"),
        }
    }

    /// Reads [`Correction::text`]; `None` of what is none, which any client of Redis may have written.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let by_us: i64 = number(&mut words)?;
        let at_us: u64 = number(&mut words)?;
        let cause = match words.next()? {
            "step" => Cause::Step { within_us: number(&mut words)? },
            "kept" => Cause::Kept,
            _ => return None,
        };
        (by_us.unsigned_abs() <= LARGEST_US && at_us <= LARGEST_US).then_some(Self { by_us, at_us, cause })
    }
}

fn number<'w, N: FromStr>(words: &mut impl Iterator<Item = &'w str>) -> Option<N> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Cause, Correction};

    fn of(by_us: i64, at_us: u64) -> Correction {
        Correction { by_us, at_us, cause: Cause::Kept }
    }

    #[test]
    fn it_fades_by_a_thousandth_of_the_time_that_passes() {
        const S: u64 = 1_000_000;
        for (by_us, at_s, raw_s, expected_us, what) in [
            (0, 0, 1_000, 0, "nothing stays nothing"),
            (-15_000_000, 1_000, 1_000, -15_000_000, "whole at first"),
            (-15_000_000, 1_000, 1_100, -14_900_000, "100 ms in 100 s"),
            (10_000_000, 1_000, 1_100, 9_900_000, "in both directions"),
            (10_000_000, 1_000, 11_000, 0, "until nothing is left"),
            (10_000_000, 1_000, 90_000, 0, "and then it stays so"),
            (10_000_000, 1_000, 900, 10_000_000, "whole while the clock is behind"),
        ] {
            let raw = raw_s * S;
            let applied = of(by_us, at_s * S).applied_to(raw);
            assert_eq!(applied.wrapping_sub(raw).cast_signed(), expected_us, "{what}");
        }
        assert_eq!(of(-10, 5).applied_to(3), 0, "there is no time before the first");
    }

    #[test]
    fn time_never_goes_back_while_it_fades() {
        for by_us in [-2_500, 2_500] {
            let (correction, mut last) = (of(by_us, 1_000_000), 0);
            for raw in (1_000_000..4_000_000).step_by(7) {
                let applied = correction.applied_to(raw);
                assert!(applied >= last, "{applied} after {last}");
                last = applied;
            }
            assert_eq!(last, correction.applied_to(last), "it has faded");
        }
    }

    #[test]
    fn what_is_written_is_read_and_all_else_is_none() {
        let step = Correction { cause: Cause::Step { within_us: 7 }, ..of(-15_000_123, 1_795_888_923_000_001) };
        assert_eq!(step.text(), "-15000123 1795888923000001 step 7");
        for correction in [step, of(10, 20), Correction::NONE] {
            assert_eq!(Correction::read(correction.text().as_bytes()), Some(correction));
        }
        assert_eq!(Correction::read(b"5 6 kept and what a later version adds"), Some(of(5, 6)));
        for garbage in [
            &b""[..],
            b"5",
            b"5 6",
            b"5 6 ",
            b"5 6 step",
            b"5 6 step -1",
            b"5 6 moved",
            b"5 -6 kept",
            b"9223372036854775807 6 kept",
            b"5 18446744073709551615 kept",
            b"\xff 6 kept",
        ] {
            assert_eq!(Correction::read(garbage), None, "{:?}", String::from_utf8_lossy(garbage));
        }
    }
}
