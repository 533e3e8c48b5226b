//! A sample: the latencies of one slice of time, and its throughput over time. Does not know what is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Significant digits of recorded latencies.
const DIGITS: u8 = 3;
/// The resolution of throughput over time.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// The latencies and the throughput of a slice of time.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// From when a request was to be sent until its response was there, in ns. In a closed loop that is when it was sent.
    pub(crate) latency_ns: Histogram<u64>,
    /// From when it was really sent; empty in a closed loop.
    pub(crate) service_ns: Histogram<u64>,
    /// How many were done in each [`TICK`].
    pub(crate) ticks: Vec<u64>,
    /// Requests that were to be sent and never were, since the server was too far behind; their latency until the
    /// end of the slice is counted.
    pub(crate) unsent: u64,
    /// How long it took, until the last response.
    pub(crate) took: Duration,
    start: Instant,
}

/// A sample that several connections record into.
pub(crate) type SharedSample = Arc<Mutex<Sample>>;

impl Sample {
    /// An empty sample that begins now.
    pub(crate) fn new() -> Self {
        let histogram = || Histogram::new(DIGITS).expect("the number of digits is one that there is");
        Self {
            latency_ns: histogram(),
            service_ns: histogram(),
            ticks: Vec::new(),
            unsent: 0,
            took: Duration::ZERO,
            start: Instant::now(),
        }
    }

    /// The same for several connections.
    pub(crate) fn shared() -> SharedSample {
        Arc::new(Mutex::new(Self::new()))
    }

    /// Begins at `start`.
    pub(crate) fn begin(&mut self, start: Instant) {
        self.start = start;
    }

    /// Records a request that is done at `now`.
    pub(crate) fn add(&mut self, now: Instant, latency: Duration, service: Option<Duration>) {
        self.latency_ns += latency.as_nanos() as u64;
        if let Some(service) = service {
            self.service_ns += service.as_nanos() as u64;
        }
        let tick = (now.saturating_duration_since(self.start).as_millis() / TICK.as_millis()) as usize;
        if tick >= self.ticks.len() {
            self.ticks.resize(tick + 1, 0);
        }
        self.ticks[tick] += 1;
    }

    /// Records a request that was never sent and has waited for at least so long.
    pub(crate) fn add_unsent(&mut self, latency: Duration) {
        self.latency_ns += latency.as_nanos() as u64;
        self.unsent += 1;
    }

    /// Ends at `now`.
    pub(crate) fn end(&mut self, now: Instant) {
        self.took = now.saturating_duration_since(self.start);
    }

    /// How many requests were done.
    pub(crate) fn done(&self) -> u64 {
        self.latency_ns.len() - self.unsent
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.done() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
