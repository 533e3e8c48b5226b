//! Whether the server of a share can be used, as its last connection told: why not, who must not try again yet, and
//! what is said of it in the log. Does not know how a connection is made.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, info, warn};

use crate::clock::Moment;
use crate::redis::{LinkError, Unfit};

/// How long a server is left alone after a connection to it could not be made, in milliseconds: at first, and at most,
/// since it is twice as long each time.
const PAUSE_MS: (u64, u64) = (20, 500);
/// How often that is counted.
const FAILURES_MAX: u32 = 8;
/// How long a server is left alone that refused what it was asked.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// How soon the same is said again in the log.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Reasons that are remembered for that.
const TOLD_MAX: usize = 64;

/// Whether a server can be used.
pub(super) struct Standing {
    log: Arc<Log>,
    known: Mutex<Known>,
}

struct Known {
    /// Somebody has connected.
    is_known: bool,
    /// Why the last connection could not be made.
    away: Option<LinkError>,
    /// Until when nobody is to try again, and why.
    held: Option<(Moment, LinkError)>,
    /// How often somebody tried since then.
    failures: u32,
    /// It is not known to be well since something else was said, or ever.
    is_ill: bool,
}

impl Standing {
    /// Nothing is known of the server.
    pub(super) fn new(log: Arc<Log>) -> Self {
        log.0.lock().ill += 1;
        let known = Known { is_known: false, away: None, held: None, failures: 0, is_ill: true };
        Self { log, known: Mutex::new(known) }
    }

    /// What is missing before the server can be used; `None` when nothing is.
    pub(super) fn missing(&self) -> Option<String> {
        let known = self.known.lock();
        match &known.away {
            Some(error) => Some(error.to_string()),
            None => (!known.is_known).then(|| "Redis has not answered yet".to_owned()),
        }
    }

    /// Whether waiting does not help.
    pub(super) fn is_misled(&self) -> bool {
        matches!(self.known.lock().away, Some(LinkError::Unfit(Unfit { is_lasting: true, .. })))
    }

    /// Why the server is not to be asked at the moment.
    pub(super) fn trouble(&self) -> Option<LinkError> {
        self.known.lock().held.as_ref().map(|(_, error)| error.clone())
    }

    /// The same for somebody who would connect. After a failure they do so one after the other.
    pub(super) fn held_back(&self, now: Moment) -> Option<LinkError> {
        let mut known = self.known.lock();
        let failures = known.failures + 1;
        let (until, error) = known.held.as_mut()?;
        if now < *until {
            return Some(error.clone());
        }
        *until = now + pause(failures);
        known.failures = failures.min(FAILURES_MAX);
        None
    }

    /// Another server is to be asked now: nobody has failed there yet.
    pub(super) fn is_another(&self) {
        let mut known = self.known.lock();
        (known.held, known.failures) = (None, 0);
    }

    /// A connection was made.
    pub(super) fn succeeded(&self) {
        let mut known = self.known.lock();
        known.is_known = true;
        (known.away, known.held, known.failures) = (None, None, 0);
    }

    /// A connection could not be made.
    pub(super) fn failed(&self, error: &LinkError, now: Moment) {
        let mut known = self.known.lock();
        let least = now + pause(known.failures);
        let until = known.held.as_ref().map_or(least, |(until, _)| *until);
        // Whoever tried may have been told so late that it is over.
        known.held = Some((if until <= now { least } else { until }, error.clone()));
        known.away = Some(error.clone());
        drop(known);
        self.tell(error, now);
    }

    /// The server refused what it was asked on a connection that stood.
    pub(super) fn refused(&self, error: &LinkError, now: Moment) {
        self.known.lock().held = Some((now + REFUSED_PAUSE, error.clone()));
    }

    /// Says why the server is waited for.
    pub(super) fn tell(&self, error: &LinkError, now: Moment) {
        let was_ill = std::mem::replace(&mut self.known.lock().is_ill, true);
        self.log.tell(error, now, was_ill);
    }

    /// The server did what it was asked.
    pub(super) fn is_well(&self) {
        if std::mem::take(&mut self.known.lock().is_ill) {
            self.log.one_is_well();
        }
    }
}

fn pause(failures: u32) -> Duration {
    let (first_ms, most_ms) = PAUSE_MS;
    Duration::from_millis((first_ms << failures.min(FAILURES_MAX)).min(most_ms))
}

/// What was said in the log of all shares: many meet the same at once.
#[derive(Default)]
pub(super) struct Log(Mutex<Told>);

#[derive(Default)]
struct Told {
    /// How many shares are not well.
    ill: usize,
    reasons: Vec<(String, Moment)>,
    cautions: Vec<&'static str>,
}

impl Log {
    fn tell(&self, error: &LinkError, now: Moment, was_ill: bool) {
        let reason = error.to_string();
        let mut told = self.0.lock();
        told.ill += usize::from(!was_ill);
        told.reasons.retain(|(_, at)| now.since(*at) < TELL_AGAIN);
        if told.reasons.iter().any(|(known, _)| *known == reason) || told.reasons.len() >= TOLD_MAX {
            return;
        }
        match error {
            LinkError::Unfit(_) => error!(why = reason, "Redis cannot be used as it is"),
            LinkError::Lost(_) | LinkError::Refused(_) | LinkError::Elsewhere(_) | LinkError::NotNow(_) => {
                warn!(why = reason, "waiting for Redis");
            }
        }
        told.reasons.push((reason, now));
    }

    fn one_is_well(&self) {
        let mut told = self.0.lock();
        told.ill = told.ill.saturating_sub(1);
        if told.ill == 0 {
            // What comes now is new.
            told.reasons.clear();
            info!("Redis answers");
        }
    }

    /// Says once what should be known of a server that can be used.
    pub(super) fn caution(&self, what: &'static str) {
        let mut told = self.0.lock();
        if !told.cautions.contains(&what) {
            told.cautions.push(what);
            warn!("{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Log, Standing};
    use crate::clock::Clock;
    use crate::redis::LinkError;

    #[test]
    fn those_who_would_connect_are_held_back_for_longer_and_longer_and_go_one_by_one() {
        let (standing, mut now) = (Standing::new(Arc::<Log>::default()), Clock::system().moment());
        let error = LinkError::Lost("gone".to_owned());
        assert_eq!(standing.missing().as_deref(), Some("Redis has not answered yet"));
        assert_eq!(standing.held_back(now), None);
        standing.failed(&error, now);
        assert_eq!(standing.missing().as_deref(), Some("Redis cannot be reached: gone"));
        let mut pauses_ms = Vec::new();
        for _ in 0..8 {
            let mut pause_ms = 0;
            while let Some(held) = standing.held_back(now) {
                assert_eq!((&held, standing.trouble()), (&error, Some(error.clone())));
                now = now + Duration::from_millis(1);
                pause_ms += 1;
            }
            // Others wait although nobody knows yet what comes of the try.
            assert_eq!(standing.held_back(now), Some(error.clone()));
            standing.failed(&error, now);
            pauses_ms.push(pause_ms);
        }
        assert_eq!(pauses_ms, [20, 40, 80, 160, 320, 500, 500, 500]);
        standing.succeeded();
        assert_eq!((standing.held_back(now), standing.missing()), (None, None));
    }
}
