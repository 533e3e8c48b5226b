//! Redis' own clock as readings show it: how it relates to this process's monotonic clock, and whether it was set. All
//! in microseconds; points of the monotonic clock count from one that the caller chooses. Pure. Does not know what the
//! clock is corrected by.

use std::collections::VecDeque;

/// How long a sample counts, while there are newer ones.
const SAMPLE_AGE_MAX_US: i64 = 10_000_000;
/// How far a sample may be off, beyond what round trips and drift explain, before the clock was set.
const STEP_US: u64 = 50_000;
/// How much two clocks drift apart that are not set, and a correction fades: one part in so many.
const DRIFT_PARTS: u64 = 400;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct RawClock {
    /// In the order in which they came; the first has the smallest round trip.
    samples: VecDeque<Sample>,
    /// No step was seen since that point of the monotonic clock.
    steady_since_us: i64,
}

/// A reading of Redis' own clock, taken between two points of the monotonic one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) raw_us: u64,
    pub(super) sent_us: i64,
    pub(super) received_us: i64,
}

impl Sample {
    /// When the clock was read, as far as is known.
    pub(super) fn middle_us(&self) -> i64 {
        self.sent_us + (self.received_us - self.sent_us) / 2
    }

    fn round_trip_us(&self) -> u64 {
        (self.received_us - self.sent_us).max(0).unsigned_abs()
    }

    /// Redis' own clock less the monotonic one.
    fn offset_us(&self) -> i64 {
        self.raw_us as i64 - self.middle_us()
    }
}

impl RawClock {
    /// Whether it was ever read.
    pub(super) fn is_known(&self) -> bool {
        !self.samples.is_empty()
    }

    /// What it says at a point of the monotonic clock, if it was not set; `None` before the first reading.
    pub(super) fn at(&self, monotonic_us: i64) -> Option<u64> {
        let best = self.samples.front()?;
        Some((monotonic_us + best.offset_us()).max(0).unsigned_abs())
    }

    /// By how much it was set, as a sample shows.
    pub(super) fn step_us(&self, sample: &Sample) -> Option<i64> {
        let by_us = sample.offset_us() - self.samples.front()?.offset_us();
        (by_us.unsigned_abs() > self.tolerance_us(sample)).then_some(by_us)
    }

    /// How far off something may be that a sample shows, although no clock was set.
    pub(super) fn tolerance_us(&self, sample: &Sample) -> u64 {
        let (best, newest) = (self.samples.front(), self.samples.back());
        let round_trips = sample.round_trip_us() + best.map_or(0, Sample::round_trip_us);
        let age_us = newest.map_or(0, |newest| (sample.received_us - newest.received_us).max(0).unsigned_abs());
        STEP_US + round_trips / 2 + age_us / DRIFT_PARTS
    }

    /// Takes a sample in that shows no step.
    pub(super) fn take(&mut self, sample: Sample) {
        // What is older and was slower can never count again.
        while self.samples.back().is_some_and(|old| old.round_trip_us() >= sample.round_trip_us()) {
            self.samples.pop_back();
        }
        self.samples.push_back(sample);
        while self.samples.len() > 1
            && self.samples.front().is_some_and(|old| sample.received_us - old.received_us > SAMPLE_AGE_MAX_US)
        {
            self.samples.pop_front();
        }
    }

    /// Begins anew with a sample.
    pub(super) fn begin(&mut self, sample: Sample) {
        self.samples.clear();
        self.samples.push_back(sample);
        self.steady_since_us = sample.sent_us;
    }

    /// How long before a sample it was last seen without a step.
    pub(super) fn unseen_us(&self, sample: &Sample) -> u64 {
        self.samples.back().map_or(0, |newest| (sample.received_us - newest.sent_us).max(0).unsigned_abs())
    }

    /// Whether no step was seen for so long before it said `raw_us`.
    pub(super) fn was_steady(&self, raw_us: u64, for_us: u64) -> bool {
        let Some(best) = self.samples.front() else { return false };
        let then_us = raw_us as i64 - best.offset_us();
        then_us.saturating_sub_unsigned(for_us.saturating_add(STEP_US)) > self.steady_since_us
    }
}

#[cfg(test)]
mod tests {
    use super::{RawClock, Sample};

    const START_MS: u64 = 1_800_000_000_000;

    /// Read at `at_ms` of the monotonic clock, `round_trip_ms` long, while Redis' own was ahead by `ahead_ms`.
    fn sample(at_ms: i64, round_trip_ms: i64, ahead_ms: i64) -> Sample {
        let raw_us = (START_MS.cast_signed() + at_ms + round_trip_ms / 2 + ahead_ms) * 1_000;
        Sample { raw_us: raw_us.unsigned_abs(), sent_us: at_ms * 1_000, received_us: (at_ms + round_trip_ms) * 1_000 }
    }

    fn ahead_ms(clock: &RawClock) -> i64 {
        let at = clock.at(0).expect("something was taken in").cast_signed();
        at / 1_000 - START_MS.cast_signed()
    }

    #[test]
    fn the_best_sample_of_the_last_seconds_counts() {
        let mut clock = RawClock::default();
        clock.begin(sample(0, 2, 0));
        clock.take(sample(10, 80, 20));
        assert_eq!(ahead_ms(&clock), 0, "a slow reading may be off");
        clock.take(sample(20, 2, 3));
        assert_eq!(ahead_ms(&clock), 3, "the newer of two that are as good");
        clock.take(sample(9_000, 10, 9));
        clock.take(sample(10_200, 30, 12));
        assert_eq!(ahead_ms(&clock), 9, "the best was too old");
        clock.take(sample(90_000, 60, 20));
        assert_eq!(ahead_ms(&clock), 20, "however slow the newest is");
    }

    #[test]
    fn a_step_is_what_nothing_else_explains() {
        for (at_ms, round_trip_ms, ahead_ms, expected, what) in [
            (100, 2, 40, false, "the clock is read in a while"),
            (100, 2, 60, true, "forward"),
            (100, 2, -60, true, "back"),
            (100, 200, 60, false, "a slow reading explains it"),
            (100, 200, 15_000, true, "or does not"),
            (3_600_000, 2, 5_000, false, "clocks drift in an hour"),
            (3_600_000, 2, 15_000, true, "but not so far"),
        ] {
            let mut clock = RawClock::default();
            assert_eq!(clock.step_us(&sample(100, 2, 0)), None, "nothing is known");
            clock.begin(sample(0, 2, 0));
            let step = clock.step_us(&sample(at_ms, round_trip_ms, ahead_ms));
            assert_eq!(step, expected.then_some(ahead_ms * 1_000), "{what}");
        }
    }

    #[test]
    fn it_knows_for_how_long_there_was_no_step() {
        let mut clock = RawClock::default();
        clock.begin(sample(10_000, 2, 0));
        clock.take(sample(11_000, 2, 0));
        assert_eq!(clock.unseen_us(&sample(12_500, 4, 0)), 1_504_000);
        let said = |ms: u64| (START_MS + ms) * 1_000;
        for (at_ms, for_ms, expected) in [(12_000, 1_500, true), (12_000, 2_500, false), (9_000, 0, false)] {
            assert_eq!(clock.was_steady(said(at_ms), for_ms * 1_000), expected, "{for_ms} ms before {at_ms}");
        }
        clock.begin(sample(13_000, 2, 15_000));
        assert!(!clock.was_steady(said(14_000 + 15_000), 2_000_000), "there was one");
    }
}
