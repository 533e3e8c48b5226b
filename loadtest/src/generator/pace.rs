//! When requests are sent. In a closed loop each connection sends its next request when it has the response to its last:
//! a server that stalls is asked less, so that its stall hardly shows in the latencies (coordinated omission). In an open
//! loop the times at which requests are to be sent are fixed beforehand and every latency counts from them, whether or
//! not a connection was free.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// How long an open loop goes on after its end to send what is overdue.
const OVERDUE_MAX: Duration = Duration::from_secs(10);

/// How fast requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Closed loop: as fast as responses come, for so long.
    Closed(Duration),
    /// Open loop: so many a second, for so long.
    Open(f64, Duration),
    /// As fast as responses come, so many.
    Count(u64),
}

/// Schedules the requests of a slice, and hands them out one by one.
pub(crate) struct Schedule {
    pace: Pace,
    start: Instant,
    given: AtomicU64,
    /// One for each request of an open loop whose time has come.
    due: Arc<Semaphore>,
    is_over: Arc<AtomicBool>,
}

impl Schedule {
    /// Begins now; up to `connections` wait for it at the same time.
    pub(crate) fn start(pace: Pace, connections: usize) -> Self {
        let start = Instant::now();
        let (due, is_over) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
        let schedule = Self { pace, start, given: AtomicU64::new(0), due, is_over };
        if let Pace::Open(rate, _) = pace {
            let clockwork = Clockwork {
                start,
                rate,
                total: schedule.total(),
                waiters: connections,
                due: Arc::clone(&schedule.due),
                is_over: Arc::clone(&schedule.is_over),
            };
            // The runtime's timers know whole milliseconds only, and that is longer than most responses take.
            thread::spawn(move || clockwork.run());
        }
        schedule
    }

    /// When it began.
    pub(crate) fn began(&self) -> Instant {
        self.start
    }

    /// Waits for the next request; returns when it is to be sent, which may be long ago. `None` when there are no more.
    pub(crate) async fn next(&self) -> Option<Instant> {
        match self.pace {
            Pace::Closed(duration) => {
                let now = Instant::now();
                (now < self.start + duration).then_some(now)
            }
            Pace::Count(count) => (self.given.fetch_add(1, Ordering::Relaxed) < count).then(Instant::now),
            Pace::Open(rate, duration) => {
                self.due.acquire().await.ok()?.forget();
                if self.start.elapsed() > duration + OVERDUE_MAX {
                    return None;
                }
                let number = self.given.fetch_add(1, Ordering::Relaxed);
                (number < self.total()).then(|| self.start + intended(number, rate))
            }
        }
    }

    /// The intended instants of requests that no connection has taken.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = Instant> {
        let (rate, from) = match self.pace {
            Pace::Open(rate, _) => (rate, self.given.load(Ordering::Relaxed)),
            Pace::Closed(_) | Pace::Count(_) => (1.0, u64::MAX),
        };
        let start = self.start;
        (from..self.total()).map(move |number| start + intended(number, rate))
    }

    /// Whether requests have a time at which they are to be sent.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.pace, Pace::Open(..))
    }

    fn total(&self) -> u64 {
        match self.pace {
            Pace::Open(rate, duration) => (rate * duration.as_secs_f64()).floor() as u64,
            Pace::Count(count) => count,
            Pace::Closed(_) => 0,
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// After how long the request of a number is to be sent.
fn intended(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

/// A thread that releases each request when it is due.
struct Clockwork {
    start: Instant,
    rate: f64,
    total: u64,
    waiters: usize,
    due: Arc<Semaphore>,
    is_over: Arc<AtomicBool>,
}

impl Clockwork {
    fn run(self) {
        let mut said = 0;
        while said < self.total && !self.is_over.load(Ordering::Relaxed) {
            let passed = (self.start.elapsed().as_secs_f64() * self.rate) as u64 + 1;
            let due = passed.min(self.total);
            self.due.add_permits(due.saturating_sub(said) as usize);
            said = said.max(due);
            thread::sleep((self.start + intended(said, self.rate)).saturating_duration_since(Instant::now()));
        }
        // Connections that still wait learn that no more requests come.
        self.due.add_permits(self.waiters);
    }
}
