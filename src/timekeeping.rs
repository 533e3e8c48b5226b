//! Looks after the server's clock: moves it towards the operating system's, and tells when that one was set, in the log, in
//! metrics and in words for `/ready`. Does not know what the time is for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing::warn;

use crate::clock::{CHECK_INTERVAL, Clock, Moment, Step};
use crate::runtime::time;
use crate::supervision::panic_point;

/// How long a step is told of.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// Compares the server's clock with the operating system's.
pub struct Timekeeper {
    clock: Clock,
    steps: Counter,
    offset: Gauge<f64, AtomicU64>,
    last: Mutex<Option<(Moment, Step)>>,
}

impl Timekeeper {
    /// Looks after `clock`; what is found is told to `registry`.
    pub fn new(clock: Clock, registry: &mut Registry) -> Arc<Self> {
        let (steps, offset) = (Counter::default(), Gauge::default());
        let help = "How often the operating system's clock was set while the server ran";
        registry.register("synckairos_clock_steps", help, steps.clone());
        let help = "How far the operating system's clock is ahead of the server's";
        registry.register("synckairos_clock_offset_seconds", help, offset.clone());
        Arc::new(Self { clock, steps, offset, last: Mutex::default() })
    }

    /// Runs until it is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            time::sleep(CHECK_INTERVAL).await;
            panic_point("clock", "");
            self.look();
        }
    }

    fn look(&self) {
        if let Some(step) = self.clock.check() {
            self.steps.inc();
            *self.last.lock() = Some((self.clock.moment(), step));
            warn!(by_ms = step.by_ms, "the operating system's clock was set: sessions go on without it");
        }
        self.offset.set(self.clock.lag_us() as f64 / 1e6);
    }

    /// What was found lately; `None` when all is well.
    pub fn caution(&self) -> Option<String> {
        let (at, step) = (*self.last.lock())?;
        if self.clock.moment().since(at) > TOLD_FOR {
            return None;
        }
        let direction = if step.by_ms < 0 { "back" } else { "forward" };
        let by_s = step.by_ms.unsigned_abs() as f64 / 1e3;
        Some(format!("the operating system's clock was set {direction} by {by_s:.1} s: sessions go on without it"))
    }
}
