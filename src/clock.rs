//! The only reader of the operating system's clocks. Everything else is told what time it is. Does not
//! know what the time is for.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::engine::Timestamp;

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0 + span)
    }
}

/// How long to sleep before looking at the time of day again.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// A point of the monotonic clock: orders what happens inside one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Instant);

impl Moment {
    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

/// The time of day, kept from going backwards, and the monotonic clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System { latest_ms: AtomicU64 },
    Manual(watch::Sender<u64>),
}

impl Clock {
    /// The operating system's.
    pub fn system() -> Self {
        Self(Arc::new(Source::System { latest_ms: AtomicU64::new(0) }))
    }

    /// One that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self(Arc::new(Source::Manual(watch::Sender::new(start.as_ms()))))
    }

    /// What time it is; never earlier than any answer given before.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System { latest_ms } => {
                let ms = time_of_day().as_millis() as u64;
                Timestamp::from_ms(latest_ms.fetch_max(ms, Ordering::Relaxed).max(ms))
            }
            Source::Manual(time) => Timestamp::from_ms(*time.borrow()),
        }
    }

    /// Where the monotonic clock stands.
    pub fn moment(&self) -> Moment {
        Moment(Instant::now())
    }

    /// Moves a manual clock on; the operating system's goes by itself.
    pub fn advance_to(&self, at: Timestamp) {
        if let Source::Manual(time) = &*self.0 {
            time.send_modify(|now| *now = at.as_ms().max(*now));
        }
    }

    /// Waits until [`Clock::now`] is `at` or later.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &*self.0 {
            Source::System { .. } => {
                while self.now() < at {
                    // Not in one piece: the time of day may be set while this sleeps.
                    tokio::time::sleep(Duration::from_millis(at.as_ms()).saturating_sub(time_of_day()).min(SLEEP_MAX))
                        .await;
                }
            }
            Source::Manual(time) => {
                let reached = |now: &u64| *now >= at.as_ms();
                time.subscribe().wait_for(reached).await.expect("the sender lives as long as this clock");
            }
        }
    }
}

/// Since the Unix epoch; zero when the clock is set before it.
fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
