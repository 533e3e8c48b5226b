//! A circuit breaker: after a failure it is open, and attempts fail fast; then it is half-open and lets one attempt at
//! a time through, with exponential backoff, until one succeeds and closes it. Does not know what is attempted.

use std::time::Duration;

use crate::clock::Moment;

use super::error::RedisError;

/// The backoff after a failure, in milliseconds: the first one and the longest; it doubles with each attempt.
const BACKOFF_MS: (u64, u64) = (20, 500);
/// The longest backoff from a server that an operator has to configure.
const MISCONFIGURED_BACKOFF_MS_MAX: u64 = 2_000;
/// Attempts that are counted at most.
const ATTEMPTS_MAX: u32 = 8;

/// Closed while attempts succeed; open, and half-open now and then, after a failure.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    /// Until when no attempt is let through, and why; `None` when it is closed.
    open: Option<(Moment, RedisError)>,
    /// Attempts that were let through since it opened.
    attempts: u32,
}

impl CircuitBreaker {
    /// Why it is open, if it is.
    pub fn open_reason(&self) -> Option<&RedisError> {
        self.open.as_ref().map(|(_, why)| why)
    }

    /// Lets an attempt through, or says why not.
    pub fn try_acquire(&mut self, now: Moment) -> Result<(), RedisError> {
        let Some((until, why)) = &mut self.open else { return Ok(()) };
        if now < *until {
            return Err(why.clone());
        }
        // Half-open: others fail fast until the outcome of this attempt is known.
        self.attempts = (self.attempts + 1).min(ATTEMPTS_MAX);
        *until = now + backoff(self.attempts, why);
        Ok(())
    }

    /// Closes it: an attempt has succeeded.
    pub fn close(&mut self) {
        *self = Self::default();
    }

    /// Opens it: an attempt has failed.
    pub fn record_failure(&mut self, why: &RedisError, now: Moment) {
        let least = now + backoff(self.attempts, why);
        // The attempt may have outlasted the backoff that it began with.
        let until = self.open.take().map(|(until, _)| until).filter(|until| *until > now).unwrap_or(least);
        self.open = Some((until, why.clone()));
    }

    /// Opens it for a while, unless it is open.
    pub fn trip(&mut self, why: &RedisError, pause: Duration, now: Moment) {
        self.open.get_or_insert_with(|| (now + pause, why.clone()));
    }
}

fn backoff(attempts: u32, why: &RedisError) -> Duration {
    let (first_ms, most_ms) = BACKOFF_MS;
    let most_ms = if matches!(why, RedisError::Misconfigured(_)) { MISCONFIGURED_BACKOFF_MS_MAX } else { most_ms };
    Duration::from_millis((first_ms << attempts).min(most_ms))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::CircuitBreaker;
    use super::RedisError;
    use crate::clock::Clock;
    use crate::redis::error::Misconfigured;

    #[test]
    fn backs_off_exponentially_and_lets_one_attempt_at_a_time_through() {
        let lost = RedisError::Io("gone".to_owned());
        let unfit = RedisError::Misconfigured(Misconfigured { why: "what a server".to_owned(), is_lasting: false });
        for (why, expected) in [
            (lost, [20, 40, 80, 160, 320, 500, 500, 500, 500]),
            (unfit, [20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000]),
        ] {
            let (mut breaker, mut now) = (CircuitBreaker::default(), Clock::system().moment());
            assert_eq!(
                (breaker.try_acquire(now), breaker.try_acquire(now), breaker.open_reason()),
                (Ok(()), Ok(()), None)
            );
            breaker.record_failure(&why, now);
            breaker.record_failure(&why, now);
            let mut pauses_ms = Vec::new();
            for _ in 0..expected.len() {
                let mut pause_ms = 0;
                while let Err(told) = breaker.try_acquire(now) {
                    assert_eq!((&told, breaker.open_reason()), (&why, Some(&why)));
                    now = now + Duration::from_millis(1);
                    pause_ms += 1;
                }
                assert_eq!(breaker.try_acquire(now), Err(why.clone()), "one was let through");
                breaker.record_failure(&why, now);
                pauses_ms.push(pause_ms);
            }
            assert_eq!(pauses_ms, expected);
            breaker.close();
            assert_eq!(
                (breaker.try_acquire(now), breaker.try_acquire(now), breaker.open_reason()),
                (Ok(()), Ok(()), None)
            );
        }
    }
}
