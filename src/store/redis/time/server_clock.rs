//! The server clock: Redis TIME with the correction that all instances agree on, and how this process's monotonic clock
//! maps to it. A step of Redis' own clock does not move it: a reading that shows one is not believed, time goes on by
//! the monotonic clock, and a correction is asked for (`agreement.rs`). Does not know what the time is for.

use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};

use crate::clock::{Clock, Moment};
use crate::engine::Timestamp;
use crate::runtime::time;
use crate::store::Metrics;

use super::correction::{Cause, Correction};
use super::raw_clock::{RawClock, Sample};

/// How long to sleep before looking at the server clock again: what is known of it gets better.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// How long to sleep when nothing is known of it.
const SLEEP_UNKNOWN: Duration = Duration::from_millis(10);
/// How long a step is reported.
const STEP_TOLD_FOR: Duration = Duration::from_secs(60);
/// How many times what a reading explains another's correction must be off before it is taken back.
const CONTRADICTION: u64 = 4;

/// Maps moments to the server clock's time.
#[derive(Debug)]
pub(in crate::store::redis) struct ServerClock {
    clock: Clock,
    origin: Moment,
    metrics: Metrics,
    known: Mutex<ClockState>,
}

#[derive(Debug)]
struct ClockState {
    raw: RawClock,
    correction: Correction,
    /// Something disagrees with what is known, and is to be agreed on.
    is_in_doubt: bool,
    /// By how much the clock stepped that this doubt is about, once that was logged.
    told_us: Option<i64>,
    /// When the clock was last seen to step, and by how much.
    stepped: Option<(Moment, i64)>,
}

/// One reading of the server clock's clock: microseconds since the Unix epoch, taken between two moments.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::redis) struct Reading {
    pub(in crate::store::redis) time_us: u64,
    pub(in crate::store::redis) sent: Moment,
    pub(in crate::store::redis) received: Moment,
}

/// What Redis' own clock said between two moments.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::redis) struct RawReading {
    pub(in crate::store::redis) us: u64,
    pub(in crate::store::redis) sent: Moment,
    pub(in crate::store::redis) received: Moment,
}

impl Reading {
    /// The server clock's time when the reading arrived, at least.
    pub(in crate::store::redis) fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.time_us / 1_000)
    }

    /// When what follows this reading is committed, at least, as another instance may compare it.
    pub(in crate::store::redis) fn committed_us(&self) -> u64 {
        self.time_us + self.received.since(self.sent).as_micros() as u64
    }
}

impl ServerClock {
    pub(in crate::store::redis) fn new(clock: &Clock, metrics: Metrics) -> Self {
        let known = ClockState {
            raw: RawClock::default(),
            correction: Correction::NONE,
            is_in_doubt: false,
            told_us: None,
            stepped: None,
        };
        Self { clock: clock.clone(), origin: clock.moment(), metrics, known: Mutex::new(known) }
    }

    /// The monotonic clock's present moment.
    pub(in crate::store::redis) fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// The server clock's time in microseconds, as far as it is known; `None` before the first reading.
    pub(in crate::store::redis) fn now_us(&self) -> Option<u64> {
        self.estimate_us(self.clock.moment())
    }

    /// The server clock's time, as far as it is known; zero before the first reading, when nothing is due.
    pub(in crate::store::redis) fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.now_us().unwrap_or_default() / 1_000)
    }

    /// Waits until the server clock shows `at`.
    pub(in crate::store::redis) async fn sleep_until(&self, at: Timestamp) {
        loop {
            let Some(now_us) = self.now_us() else {
                time::sleep(SLEEP_UNKNOWN).await;
                continue;
            };
            let left_us = at.as_ms().saturating_mul(1_000).saturating_sub(now_us);
            if left_us == 0 {
                return;
            }
            time::sleep(Duration::from_micros(left_us).min(SLEEP_MAX)).await;
        }
    }

    /// A sentence about a recent step of Redis' own clock, if there was one.
    pub(in crate::store::redis) fn step_report(&self) -> Option<String> {
        let by_ms = self.stepped_ms(self.clock.moment())?;
        let (direction, by_s) = (if by_ms < 0 { "back" } else { "forward" }, by_ms.unsigned_abs() as f64 / 1e3);
        Some(format!("the clock of Redis was set {direction} by {by_s:.1} s: sessions go on without it"))
    }

    /// By how many milliseconds Redis' own clock stepped lately, if it did.
    pub(super) fn stepped_ms(&self, now: Moment) -> Option<i64> {
        let (at, step_us) = self.known.lock().stepped?;
        (now.since(at) <= STEP_TOLD_FOR).then_some(step_us / 1_000)
    }

    /// Whether a correction is to be agreed on.
    pub(in crate::store::redis) fn is_in_doubt(&self) -> bool {
        self.known.lock().is_in_doubt
    }

    /// The server clock's time as Redis' own clock tells it, unless that was set: then as the monotonic clock does.
    pub(in crate::store::redis) fn read(&self, raw: RawReading) -> Reading {
        let sample = self.sample(raw);
        let mut known = self.known.lock();
        let time_us = if !known.raw.is_known() {
            known.raw.begin(sample);
            known.correction.applied_to(raw.us)
        } else if known.raw.step_us(&sample).is_none() {
            known.raw.take(sample);
            known.correction.applied_to(raw.us)
        } else {
            known.is_in_doubt = true;
            known.at(sample.middle_us()).unwrap_or(raw.us)
        };
        Reading { time_us, sent: raw.sent, received: raw.received }
    }

    /// Compares what is known with the correction that was found in Redis, just before its clock was read. Takes it
    /// over, or returns what is to be written instead, unless another instance is faster.
    pub(super) fn judge(&self, found: Option<Correction>, raw: RawReading) -> Option<Correction> {
        let sample = self.sample(raw);
        let theirs = found.unwrap_or(Correction::NONE);
        let mut known = self.known.lock();
        let Some(own_us) = known.at(sample.middle_us()) else {
            known.begin(theirs, sample);
            return None;
        };
        let by_us = own_us as i64 - raw.us as i64;
        let apart_us = own_us.abs_diff(theirs.applied_to(raw.us));
        let tolerance_us = known.raw.tolerance_us(&sample);
        let step_us = known.raw.step_us(&sample);
        if let Some(step_us) = step_us {
            self.tell(&mut known, step_us, raw.received);
            if apart_us <= tolerance_us {
                known.begin(theirs, sample);
                return None;
            }
            known.is_in_doubt = true;
            let cause = Cause::Step { within_us: known.raw.unseen_us(&sample) };
            return Some(Correction { by_us, at_us: raw.us, cause });
        }
        if apart_us > tolerance_us {
            let is_kept = match (found, theirs.cause) {
                (None, _) => true,
                // An instance that saw no step in that time knows better.
                (Some(_), Cause::Step { within_us }) => {
                    apart_us > CONTRADICTION * tolerance_us && known.raw.was_steady(theirs.at_us, within_us)
                }
                (Some(_), Cause::Kept) => false,
            };
            if is_kept {
                known.is_in_doubt = true;
                return Some(Correction { cause: Cause::Kept, ..known.correction });
            }
            info!(apart_ms = apart_us / 1_000, "the correction of Redis' clock is another one, as other instances say");
        }
        known.raw.take(sample);
        known.settle(theirs);
        None
    }

    /// The server clock's time at a moment, in microseconds, as far as it is known; `None` before the first reading.
    fn estimate_us(&self, moment: Moment) -> Option<u64> {
        self.known.lock().at(self.elapsed_us(moment))
    }

    /// The server clock's time at a moment before `reading` arrived, in microseconds: the estimate, within what the
    /// reading allows.
    pub(in crate::store::redis) fn at_us(&self, moment: Moment, reading: &Reading) -> u64 {
        let time_us = reading.time_us as i64;
        let between = |later: Moment, earlier: Moment| {
            later.since(earlier).as_micros() as i64 - earlier.since(later).as_micros() as i64
        };
        let least = time_us - between(reading.received, moment);
        let most = (time_us - between(reading.sent, moment)).min(time_us);
        let estimate = self.estimate_us(moment).map_or(most, |estimate| estimate as i64);
        estimate.min(most).max(least).max(0) as u64
    }

    /// Logs and counts a step, once.
    fn tell(&self, known: &mut ClockState, step_us: i64, at: Moment) {
        if known.told_us.replace(step_us).is_none() {
            warn!(by_ms = step_us / 1_000, "the clock of Redis was set: sessions go on without it");
            self.metrics.clock_jumped();
            known.stepped = Some((at, step_us));
        }
    }

    fn sample(&self, raw: RawReading) -> Sample {
        let RawReading { us, sent, received } = raw;
        Sample { raw_us: us, sent_us: self.elapsed_us(sent), received_us: self.elapsed_us(received) }
    }

    fn elapsed_us(&self, moment: Moment) -> i64 {
        moment.since(self.origin).as_micros() as i64
    }
}

impl ClockState {
    fn at(&self, monotonic_us: i64) -> Option<u64> {
        Some(self.correction.applied_to(self.raw.at(monotonic_us)?))
    }

    /// From now on Redis' own clock is what the sample says, and corrected so.
    fn begin(&mut self, correction: Correction, sample: Sample) {
        self.raw.begin(sample);
        self.settle(correction);
    }

    fn settle(&mut self, correction: Correction) {
        self.correction = correction;
        self.is_in_doubt = false;
        self.told_us = None;
    }
}
