//! Exponential backoff of a task's restarts, with jitter; it starts over once the task has run for a while. Does not know
//! the task.

use std::time::Duration;

use crate::clock::Moment;
use crate::random;

/// The first pause, in milliseconds; each is twice the one before.
const PAUSE_MS: u64 = 50;
/// How often it is doubled: up to 25.6 s.
const DOUBLINGS_MAX: u32 = 9;
/// How long a task must have run, at least, to count as well.
const PROOF_MIN: Duration = Duration::from_secs(1);

/// The failures of one task.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// When it was begun anew, and for how long it must run from then to count as well.
    begun: Option<(Moment, Duration)>,
    proof: Duration,
}

/// When a task is restarted after a failure.
pub(super) struct Restart {
    /// How many there were in a row.
    pub(super) failures: u32,
    /// How long until the restart; half of it is jitter, so that tasks that fail together do not restart together.
    pub(super) pause: Duration,
    /// How long it must run after that to count as well.
    pub(super) proof: Duration,
}

impl Backoff {
    /// The task has failed.
    pub(super) fn fail(&mut self, now: Moment) -> Restart {
        if self.begun.take().is_some_and(|(begun, proof)| now.since(begun) >= proof) {
            self.failures = 0;
        }
        let whole = Duration::from_millis(PAUSE_MS << self.failures.min(DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        let pause = random::jitter(whole);
        self.proof = whole.max(PROOF_MIN);
        Restart { failures: self.failures, pause, proof: self.proof }
    }

    /// The task is begun anew.
    pub(super) fn begin(&mut self, now: Moment) {
        self.begun = Some((now, self.proof));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, Restart};
    use crate::clock::Clock;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_begin_anew_after_a_while_of_health() {
        let (mut backoff, mut now) = (Backoff::default(), Clock::system().moment());
        for (nth, most_ms) in [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 25_600].iter().enumerate() {
            let Restart { failures, pause, proof } = backoff.fail(now);
            assert_eq!(failures as usize, nth + 1);
            let most = Duration::from_millis(*most_ms);
            assert!(pause >= most / 2 && pause <= most, "{pause:?} of {most:?}");
            assert_eq!(proof, most.max(Duration::from_secs(1)));
            now = now + pause;
            backoff.begin(now);
            now = now + (proof - Duration::from_millis(1));
        }
        backoff.fail(now);
        backoff.begin(now);
        assert_eq!(backoff.fail(now + Duration::from_secs(26)).failures, 1, "it has run for long enough");
    }
}
