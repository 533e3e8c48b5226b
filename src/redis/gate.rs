//! Holds back those who would try what has just failed: at first for a moment, then for longer and longer, and after
//! that one at a time, until somebody has succeeded. Does not know what is tried.

use std::time::Duration;

use crate::clock::Moment;

use super::link::LinkError;

/// How long it is closed after a failure, in milliseconds: at first, and at most, since it is twice as long each time.
const PAUSE_MS: (u64, u64) = (20, 500);
/// At most where somebody has to do something.
const UNFIT_PAUSE_MS_MAX: u64 = 2_000;
/// How often that is counted.
const FAILURES_MAX: u32 = 8;

/// Open, or closed for a while.
#[derive(Debug, Default)]
pub struct Gate {
    /// Until when nobody is let through, and why.
    closed: Option<(Moment, LinkError)>,
    /// How many were let through since it was closed.
    tries: u32,
}

impl Gate {
    /// Why it is not open; then it lets somebody through now and then only.
    pub fn trouble(&self) -> Option<&LinkError> {
        self.closed.as_ref().map(|(_, why)| why)
    }

    /// Lets somebody through, or says why not.
    pub fn enter(&mut self, now: Moment) -> Result<(), LinkError> {
        let Some((until, why)) = &mut self.closed else { return Ok(()) };
        if now < *until {
            return Err(why.clone());
        }
        // Others wait although nobody knows yet what comes of it.
        self.tries = (self.tries + 1).min(FAILURES_MAX);
        *until = now + pause(self.tries, why);
        Ok(())
    }

    /// Somebody has succeeded.
    pub fn open(&mut self) {
        *self = Self::default();
    }

    /// Somebody has failed.
    pub fn fail(&mut self, why: &LinkError, now: Moment) {
        let least = now + pause(self.tries, why);
        // Whoever was let through may have been told so late that it is over.
        let until = self.closed.take().map(|(until, _)| until).filter(|until| *until > now).unwrap_or(least);
        self.closed = Some((until, why.clone()));
    }

    /// Closes it for a while unless it is closed.
    pub fn hold(&mut self, why: &LinkError, pause: Duration, now: Moment) {
        self.closed.get_or_insert_with(|| (now + pause, why.clone()));
    }
}

fn pause(tries: u32, why: &LinkError) -> Duration {
    let (first_ms, most_ms) = PAUSE_MS;
    let most_ms = if matches!(why, LinkError::Unfit(_)) { UNFIT_PAUSE_MS_MAX } else { most_ms };
    Duration::from_millis((first_ms << tries).min(most_ms))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::link::Unfit;
    use super::{Gate, LinkError};
    use crate::clock::Clock;

    #[test]
    fn is_closed_for_longer_and_longer_and_lets_them_through_one_by_one() {
        let lost = LinkError::Lost("gone".to_owned());
        let unfit = LinkError::Unfit(Unfit { why: "what a server".to_owned(), is_lasting: false });
        for (why, expected) in [
            (lost, [20, 40, 80, 160, 320, 500, 500, 500, 500]),
            (unfit, [20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000]),
        ] {
            let (mut gate, mut now) = (Gate::default(), Clock::system().moment());
            assert_eq!((gate.enter(now), gate.enter(now), gate.trouble()), (Ok(()), Ok(()), None));
            gate.fail(&why, now);
            gate.fail(&why, now);
            let mut pauses_ms = Vec::new();
            for _ in 0..expected.len() {
                let mut pause_ms = 0;
                while let Err(told) = gate.enter(now) {
                    assert_eq!((&told, gate.trouble()), (&why, Some(&why)));
                    now = now + Duration::from_millis(1);
                    pause_ms += 1;
                }
                assert_eq!(gate.enter(now), Err(why.clone()), "one was let through");
                gate.fail(&why, now);
                pauses_ms.push(pause_ms);
            }
            assert_eq!(pauses_ms, expected);
            gate.open();
            assert_eq!((gate.enter(now), gate.enter(now), gate.trouble()), (Ok(()), Ok(()), None));
        }
    }
}
