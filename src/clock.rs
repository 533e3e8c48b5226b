//! The only reader of the operating system's clocks. Everything else is told what time it is. Does not
//! know what the time is for.
//!
//! Elapsed time is measured by the monotonic clock, one that counts sleep where there is one. Wall time is read once, at the
//! start, and goes on by the monotonic clock; [`Clock::check`] moves it towards the operating system's wall time by
//! at most a thousandth of the time that passed. A step of the operating system's clock moves nothing here.

use std::fmt::Debug;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::engine::Timestamp;
use crate::runtime::{self, Simulation, time};

/// How often [`Clock::check`] is to be called.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// A move of the operating system's clock between two checks that is no drift any more.
const STEP_US: i64 = 50_000;
/// Of the time that passed so much is corrected, one part in so many.
const SLEW_PARTS: i64 = 1_000;
/// How much time between two checks counts for the correction.
const SPAN_MAX: Duration = Duration::from_millis(500);
/// Both clocks must be read within this, or nothing is known of how they stand to each other.
const BRACKET_MAX: Duration = Duration::from_millis(1);
/// How often to try to read them so.
const BRACKETS: usize = 5;
/// How long to sleep before looking at the clock again: timers of the runtime do not count sleep of the machine.
const SLEEP_MAX: Duration = Duration::from_millis(250);

/// A point of the monotonic clock: orders what happens inside one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0 + span)
    }
}

/// The clocks of a machine. The operating system's; a test brings its own.
pub trait Source: Debug + Send + Sync {
    /// How long the machine has been up, sleep included.
    fn uptime(&self) -> Duration;

    /// Since the Unix epoch; zero when the clock is set before it.
    fn time_of_day(&self) -> Duration;
}

/// Those of this machine.
#[derive(Debug)]
struct OperatingSystem;

impl Source for OperatingSystem {
    fn uptime(&self) -> Duration {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const ELAPSED: ClockId = ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const ELAPSED: ClockId = ClockId::Monotonic;
        Duration::try_from(clock_gettime(ELAPSED)).unwrap_or_default()
    }

    fn time_of_day(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// Those that a simulation has.
struct Simulated(Arc<dyn Simulation>);

impl Debug for Simulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Simulated")
    }
}

impl Source for Simulated {
    fn uptime(&self) -> Duration {
        self.0.uptime()
    }

    fn time_of_day(&self) -> Duration {
        self.0.time_of_day()
    }
}

/// The server's clock: wall time that is kept from going backwards and from jumping, and the monotonic clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Anchored(Anchored),
    Manual(watch::Sender<u64>),
}

/// Wall time that goes on by a machine's uptime.
#[derive(Debug)]
struct Anchored {
    source: Arc<dyn Source>,
    /// Wall time less uptime.
    offset_us: AtomicI64,
    /// The latest answer.
    latest_ms: AtomicU64,
    checked: Mutex<Checked>,
}

/// What the last check found.
#[derive(Clone, Copy, Debug)]
struct Checked {
    at: Duration,
    lag_us: i64,
}

/// The operating system's clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// By how much, in milliseconds; negative when it was set back.
    pub by_ms: i64,
}

impl Clock {
    /// The operating system's, or those of the simulation that this thread is within; anchored now.
    pub fn system() -> Self {
        match runtime::simulation() {
            None => Self::over(Arc::new(OperatingSystem)),
            Some(simulation) => Self::over(Arc::new(Simulated(simulation))),
        }
    }

    /// By the clocks of `source`, anchored now.
    pub fn over(source: Arc<dyn Source>) -> Self {
        let (at, offset_us) = read_both(&*source).unwrap_or_else(|| {
            let at = source.uptime();
            (at, micros(source.time_of_day()) - micros(at))
        });
        Self(Arc::new(Kind::Anchored(Anchored {
            source,
            offset_us: AtomicI64::new(offset_us),
            latest_ms: AtomicU64::new(0),
            checked: Mutex::new(Checked { at, lag_us: 0 }),
        })))
    }

    /// One that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self(Arc::new(Kind::Manual(watch::Sender::new(start.as_ms()))))
    }

    /// What time it is; never earlier than any answer given before.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Kind::Anchored(anchored) => Timestamp::from_ms(anchored.now_ms()),
            Kind::Manual(time) => Timestamp::from_ms(*time.borrow()),
        }
    }

    /// What time of day the operating system says it is, steps included: what other machines' clocks are compared with. Nothing
    /// here goes by it.
    pub fn time_of_day(&self) -> Timestamp {
        match &*self.0 {
            Kind::Anchored(anchored) => Timestamp::from_ms(anchored.source.time_of_day().as_millis() as u64),
            Kind::Manual(time) => Timestamp::from_ms(*time.borrow()),
        }
    }

    /// Where the monotonic clock stands.
    pub fn moment(&self) -> Moment {
        match &*self.0 {
            Kind::Anchored(anchored) => Moment(anchored.source.uptime()),
            Kind::Manual(_) => Moment(OperatingSystem.uptime()),
        }
    }

    /// Compares with the operating system's wall time, and moves towards it by a thousandth of the time that passed at most. Tells
    /// when that clock was set since the last check.
    pub fn check(&self) -> Option<Step> {
        match &*self.0 {
            Kind::Anchored(anchored) => anchored.check(),
            Kind::Manual(_) => None,
        }
    }

    /// How far the operating system's wall time was ahead of this clock at the last check, in microseconds.
    pub fn lag_us(&self) -> i64 {
        match &*self.0 {
            Kind::Anchored(anchored) => anchored.checked.lock().lag_us,
            Kind::Manual(_) => 0,
        }
    }

    /// Moves a manual clock on; others go by themselves.
    pub fn advance_to(&self, at: Timestamp) {
        if let Kind::Manual(time) = &*self.0 {
            time.send_modify(|now| *now = at.as_ms().max(*now));
        }
    }

    /// Waits until [`Clock::now`] is `at` or later.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &*self.0 {
            Kind::Anchored(anchored) => loop {
                let left = at.since(Timestamp::from_ms(anchored.now_ms()));
                if left.is_zero() {
                    return;
                }
                // Until the millisecond begins, and not in one piece.
                let left = Duration::from_millis(left.as_ms()) - anchored.since_the_millisecond();
                time::sleep(left.min(SLEEP_MAX)).await;
            },
            Kind::Manual(time) => {
                let reached = |now: &u64| *now >= at.as_ms();
                time.subscribe().wait_for(reached).await.expect("the sender lives as long as this clock");
            }
        }
    }
}

impl Anchored {
    fn now_us(&self) -> u64 {
        u64::try_from(micros(self.source.uptime()) + self.offset_us.load(Ordering::Relaxed)).unwrap_or_default()
    }

    fn now_ms(&self) -> u64 {
        let ms = self.now_us() / 1_000;
        self.latest_ms.fetch_max(ms, Ordering::Relaxed).max(ms)
    }

    fn since_the_millisecond(&self) -> Duration {
        Duration::from_micros(self.now_us() % 1_000)
    }

    fn check(&self) -> Option<Step> {
        let mut checked = self.checked.lock();
        let (at, difference_us) = read_both(&*self.source)?;
        let offset_us = self.offset_us.load(Ordering::Relaxed);
        let lag_us = difference_us - offset_us;
        let moved_us = lag_us - checked.lag_us;
        let most_us = micros(at.saturating_sub(checked.at).min(SPAN_MAX)) / SLEW_PARTS;
        let correction_us = lag_us.clamp(-most_us, most_us);
        self.offset_us.store(offset_us + correction_us, Ordering::Relaxed);
        *checked = Checked { at, lag_us: lag_us - correction_us };
        (moved_us.abs() > STEP_US).then_some(Step { by_ms: moved_us / 1_000 })
    }
}

/// The uptime, and the time of day less it, in microseconds; `None` when the two could not be read close enough to each other.
fn read_both(source: &dyn Source) -> Option<(Duration, i64)> {
    (0..BRACKETS).find_map(|_| {
        let (before, time, after) = (source.uptime(), source.time_of_day(), source.uptime());
        let bracket = after.saturating_sub(before);
        (bracket <= BRACKET_MAX).then(|| (after, micros(time) - micros(before + bracket / 2)))
    })
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::{CHECK_INTERVAL, Clock, Source, Step};

    /// A machine whose clocks are set by hand; in microseconds.
    #[derive(Debug)]
    struct Machine {
        uptime_us: AtomicU64,
        time_us: AtomicU64,
    }

    impl Source for Machine {
        fn uptime(&self) -> Duration {
            Duration::from_micros(self.uptime_us.load(Ordering::Relaxed))
        }

        fn time_of_day(&self) -> Duration {
            Duration::from_micros(self.time_us.load(Ordering::Relaxed))
        }
    }

    const START_MS: u64 = 1_800_000_000_000;

    impl Machine {
        fn new() -> (Arc<Self>, Clock) {
            let machine =
                Arc::new(Self { uptime_us: AtomicU64::new(7_000_000), time_us: AtomicU64::new(START_MS * 1_000) });
            (Arc::clone(&machine), Clock::over(machine))
        }

        /// So much time passes, by the one clock and by the other.
        fn pass(&self, uptime: Duration, time_us: i64) {
            self.uptime_us.fetch_add(uptime.as_micros() as u64, Ordering::Relaxed);
            self.time_us.fetch_add(time_us.cast_unsigned(), Ordering::Relaxed);
        }
    }

    fn elapsed_ms(clock: &Clock) -> u64 {
        clock.now().as_ms() - START_MS
    }

    #[test]
    fn a_step_moves_nothing_and_is_told_once() {
        for (by_us, by_ms) in [(-10_000_000, -10_000), (15_000_000, 15_000), (-60_000, -60)] {
            let (machine, clock) = Machine::new();
            let start = clock.moment();
            machine.pass(Duration::from_secs(1), 1_000_000 + by_us);
            assert_eq!((elapsed_ms(&clock), clock.moment().since(start)), (1_000, Duration::from_secs(1)));
            assert_eq!(clock.check(), Some(Step { by_ms }));
            machine.pass(CHECK_INTERVAL, 250_000);
            assert_eq!(clock.check(), None);
            assert!(elapsed_ms(&clock).abs_diff(1_250) <= 1, "{} ms", elapsed_ms(&clock));
        }
    }

    #[test]
    fn it_goes_towards_the_systems_clock_by_a_thousandth() {
        for by_us in [-2_000_000_i64, 2_000_000] {
            let (machine, clock) = Machine::new();
            machine.pass(Duration::ZERO, by_us);
            clock.check();
            let mut last = clock.now();
            let mut intervals = 0_u64;
            while clock.lag_us() != 0 {
                machine.pass(CHECK_INTERVAL, 250_000);
                assert_eq!(clock.check(), None);
                intervals += 1;
                let went = clock.now().since(last).as_ms();
                assert!((249..=251).contains(&went), "{went} ms in 250");
                last = clock.now();
            }
            assert_eq!(intervals, 8_000, "2 s at 1 ms a second");
            assert_eq!(elapsed_ms(&clock), (intervals * 250).wrapping_add_signed(by_us / 1_000));
        }
    }

    #[test]
    fn sleep_of_the_machine_counts_and_is_no_step() {
        let (machine, clock) = Machine::new();
        let start = clock.moment();
        let night = Duration::from_secs(8 * 3_600);
        machine.pass(night, night.as_micros() as i64 + 20_000);
        assert_eq!(elapsed_ms(&clock), night.as_millis() as u64);
        assert_eq!(clock.moment().since(start), night);
        assert_eq!(clock.check(), None);
    }

    #[test]
    fn a_drift_is_followed_and_is_no_step() {
        let (machine, clock) = Machine::new();
        for _ in 0..40_000 {
            machine.pass(CHECK_INTERVAL, 250_000 - 100);
            assert_eq!(clock.check(), None);
        }
        assert_eq!(clock.lag_us(), 0);
        assert_eq!(elapsed_ms(&clock), 40_000 * 2_499 / 10);
    }

    #[test]
    fn it_never_goes_back() {
        let (machine, clock) = Machine::new();
        let mut last = clock.now();
        machine.pass(Duration::ZERO, -3_600_000_000);
        for _ in 0..1_000 {
            machine.pass(Duration::from_micros(900), 900);
            clock.check();
            assert!(clock.now() >= last);
            last = clock.now();
        }
    }

    #[tokio::test]
    async fn who_sleeps_wakes_at_the_instant_and_not_before() {
        let clock = Clock::system();
        let at = clock.now() + crate::engine::Millis::new(20);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
    }
}
