//! A machine that an instance runs on: its clocks, its random numbers, and the network that it sees. Everything that runs
//! on it is within it. Does not know what runs there.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use synckairos::runtime::{self, ByteStream, Simulation};

use super::network::Network;
use crate::dice::Dice;
use crate::scheduler::{Process, Scheduler};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A machine, with one process.
pub struct Machine {
    this: Weak<Self>,
    name: usize,
    scheduler: Scheduler,
    process: Process,
    network: Network,
    state: Mutex<MachineState>,
}

struct MachineState {
    dice: Dice,
    /// How long it was up when the run began.
    uptime: Duration,
    /// How fast its monotonic clock goes, in millionths more than it should.
    drift_ppm: i64,
    /// What its clock shows, less the time of the run, in microseconds.
    epoch_us: u64,
}

impl Machine {
    /// The machine with this number, whose clock shows `epoch_us` when the run begins, and goes too fast by `drift_ppm`.
    pub(super) fn new(
        name: usize,
        scheduler: &Scheduler,
        network: &Network,
        epoch_us: u64,
        drift_ppm: i64,
    ) -> Arc<Self> {
        let mut dice = scheduler.dice();
        let uptime = Duration::from_secs(1 + dice.below(1_000_000));
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            name,
            scheduler: scheduler.clone(),
            process: scheduler.process(),
            network: network.clone(),
            state: Mutex::new(MachineState { dice, uptime, drift_ppm, epoch_us }),
        })
    }

    /// Does something on this machine.
    pub fn enter<T>(self: &Arc<Self>, run: impl FnOnce() -> T) -> T {
        // Whoever reads the log of a run wants to know when and where.
        let span = tracing::debug_span!("", at_us = self.scheduler.now().as_micros() as u64, machine = self.name);
        span.in_scope(|| runtime::within(Arc::clone(self) as Arc<dyn Simulation>, run))
    }

    /// Begins a task on this machine.
    pub fn run(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.process.spawn(Within { machine: Arc::clone(self), future: Some(Box::pin(task)) });
    }

    /// Ends all that runs on it.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Halts all that runs on it.
    pub fn halt(&self) {
        self.process.halt();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Sets its clock on, or back; the monotonic one goes on.
    pub fn step_clock(&self, by_us: i64) {
        self.with(|state| state.epoch_us = state.epoch_us.saturating_add_signed(by_us));
    }

    fn with<T>(&self, run: impl FnOnce(&mut MachineState) -> T) -> T {
        run(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Simulation for Machine {
    fn spawn(&self, future: BoxFuture<()>) {
        if let Some(machine) = self.this.upgrade() {
            self.process.spawn(Within { machine, future: Some(future) });
        }
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        Box::pin(self.scheduler.sleep(span))
    }

    fn connect(&self, host: &str, _: u16) -> BoxFuture<io::Result<Box<dyn ByteStream>>> {
        let connected = self.network.connect(host);
        Box::pin(async move { Ok(Box::new(connected.await?) as Box<dyn ByteStream>) })
    }

    fn uptime(&self) -> Duration {
        let now = self.scheduler.now();
        let us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        self.with(|state| {
            let more = us.saturating_mul(state.drift_ppm) / 1_000_000;
            state.uptime + Duration::from_micros(us.saturating_add(more).unsigned_abs())
        })
    }

    fn time_of_day(&self) -> Duration {
        let now = self.scheduler.now();
        self.with(|state| Duration::from_micros(state.epoch_us)) + now
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.with(|state| {
            for some in bytes.chunks_mut(8) {
                some.copy_from_slice(&state.dice.throw().to_le_bytes()[..some.len()]);
            }
        });
    }
}

/// A task that is within its machine whenever it goes on, and when it ends.
struct Within {
    machine: Arc<Machine>,
    /// There until it is dropped.
    future: Option<BoxFuture<()>>,
}

impl Future for Within {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let machine = Arc::clone(&self.machine);
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        machine.enter(|| future.as_mut().poll(context))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let future = self.future.take();
        self.machine.enter(|| drop(future));
    }
}
