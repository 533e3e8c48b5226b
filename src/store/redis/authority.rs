//! The time authority: Redis TIME, and how this process's monotonic clock maps to it. Does not know what
//! the time is for.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::warn;

use crate::clock::{Clock, Moment};
use crate::engine::Timestamp;
use crate::store::Metrics;

/// How long a sample counts.
const SAMPLE_AGE_MAX: Duration = Duration::from_secs(10);

/// How far two samples may disagree, beyond what their round trips explain, before the clock has jumped.
const JUMP_US: u64 = 50_000;

/// How long a jump is told of.
const JUMP_TOLD_FOR: Duration = Duration::from_secs(60);

/// Maps moments to the authority's time.
#[derive(Debug)]
pub(super) struct Authority {
    origin: Moment,
    metrics: Metrics,
    /// When the clock was last seen to jump, and by how much.
    jumped: Mutex<Option<(Moment, i64)>>,
    samples: Mutex<VecDeque<Sample>>,
}

/// One reading of the authority's clock: microseconds since the Unix epoch, taken between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) time_us: u64,
    pub(super) sent: Moment,
    pub(super) received: Moment,
}

#[derive(Debug)]
struct Sample {
    at: Moment,
    round_trip: Duration,
    /// Authority's time less the monotonic clock's, in microseconds.
    offset_us: i64,
}

impl Reading {
    /// The authority's time when the reading arrived, at least.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.time_us / 1_000)
    }

    /// When what follows this reading is committed, at least, as another instance may compare it.
    pub(super) fn committed_us(&self) -> u64 {
        self.time_us + self.received.since(self.sent).as_micros() as u64
    }
}

impl Authority {
    pub(super) fn new(clock: &Clock, metrics: Metrics) -> Self {
        Self { origin: clock.moment(), metrics, jumped: Mutex::default(), samples: Mutex::default() }
    }

    /// By how many milliseconds the clock jumped lately, if it did.
    pub(super) fn jumped_ms(&self, now: Moment) -> Option<i64> {
        let (at, jump_us) = (*self.jumped.lock())?;
        (now.since(at) <= JUMP_TOLD_FOR).then_some(jump_us / 1_000)
    }

    /// Takes a reading into account. The sample with the smallest round trip of the last seconds counts.
    pub(super) fn learn(&self, reading: &Reading) {
        let round_trip = reading.received.since(reading.sent);
        let offset_us = reading.time_us as i64 - self.elapsed_us(reading.sent) - (round_trip.as_micros() / 2) as i64;
        let mut samples = self.samples.lock();
        while samples.front().is_some_and(|old| reading.received.since(old.at) > SAMPLE_AGE_MAX) {
            samples.pop_front();
        }
        if let Some(best) = samples.front() {
            let explained = ((round_trip + best.round_trip).as_micros() / 2) as u64;
            let jump_us = offset_us - best.offset_us;
            if jump_us.unsigned_abs() > JUMP_US + explained {
                warn!(jump_ms = jump_us / 1_000, "the clock of Redis jumped");
                self.metrics.clock_jumped();
                *self.jumped.lock() = Some((reading.received, jump_us));
                samples.clear();
            }
        }
        // What is older and was slower can never count again.
        while samples.back().is_some_and(|old| old.round_trip >= round_trip) {
            samples.pop_back();
        }
        samples.push_back(Sample { at: reading.received, round_trip, offset_us });
    }

    /// Begins anew: the authority is another server.
    pub(super) fn forget(&self) {
        self.samples.lock().clear();
    }

    /// The authority's time at a moment, in microseconds, as far as it is known; `None` before the first reading.
    pub(super) fn estimate_us(&self, moment: Moment) -> Option<u64> {
        let offset_us = self.samples.lock().front()?.offset_us;
        u64::try_from(self.elapsed_us(moment) + offset_us).ok()
    }

    /// The authority's time at a moment before `reading` arrived, in microseconds: the estimate, within what the reading allows.
    pub(super) fn at_us(&self, moment: Moment, reading: &Reading) -> u64 {
        let time_us = reading.time_us as i64;
        let between = |later: Moment, earlier: Moment| {
            later.since(earlier).as_micros() as i64 - earlier.since(later).as_micros() as i64
        };
        let least = time_us - between(reading.received, moment);
        let most = (time_us - between(reading.sent, moment)).min(time_us);
        let estimate = self.estimate_us(moment).map_or(most, |estimate| estimate as i64);
        estimate.min(most).max(least).max(0) as u64
    }

    fn elapsed_us(&self, moment: Moment) -> i64 {
        moment.since(self.origin).as_micros() as i64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Authority, Reading};
    use crate::clock::Clock;
    use crate::store::Metrics;

    #[test]
    fn follows_the_best_sample_and_a_jump_at_once() {
        let clock = Clock::system();
        let (authority, start) = (Authority::new(&clock, Metrics::default()), clock.moment());
        let learn = |at_ms: u64, round_trip_ms: u64, time_us: u64| {
            let sent = start + Duration::from_millis(at_ms);
            authority.learn(&Reading { time_us, sent, received: sent + Duration::from_millis(round_trip_ms) });
        };
        let offset = || authority.estimate_us(start).expect("something was learned") as i64;
        let near = |expected: i64| assert!((offset() - expected).abs() < 2_000, "{} is not {expected}", offset());
        learn(0, 2, 1_000_001_000);
        near(1_000_000_000);
        // A slow reading may be off by half of its round trip: it neither counts nor is it a jump.
        learn(10, 80, 1_000_010_000);
        near(1_000_000_000);
        learn(100, 2, 1_090_101_000);
        near(1_090_000_000);
        assert_eq!(authority.jumped_ms(start + Duration::from_secs(1)), Some(90_000));
        assert_eq!(authority.jumped_ms(start + Duration::from_secs(62)), None);
        learn(200, 2, 1_000_201_000);
        near(1_000_000_000);
    }
}
