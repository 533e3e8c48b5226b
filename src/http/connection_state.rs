//! The state of a connection: waiting for a request, in the middle of its head, busy with it, or sending the answer; and how
//! long it may stay in it. One timer watches all states, looked at when it might matter and never reset by a request. Does not
//! know what is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Moment};

/// The phase of one connection and since when it has been in it.
#[derive(Debug)]
pub(super) struct ConnectionState {
    clock: Clock,
    start: Moment,
    /// Milliseconds since `start`, and the phase in the lowest three bits.
    now: AtomicU64,
}

const FIRST: u64 = 0;
const WAITING: u64 = 1;
const HEAD: u64 = 2;
const BUSY: u64 = 3;
const ANSWERING: u64 = 4;
const FLUSHING: u64 = 5;
const PHASE_BITS: u32 = 3;

/// What a connection has waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A request, or the client to read an answer.
    Request,
    /// The rest of a request's head.
    Head,
}

impl ConnectionState {
    /// Waiting for the first request.
    pub(super) fn new(clock: Clock) -> Self {
        let start = clock.moment();
        Self { clock, start, now: AtomicU64::new(FIRST) }
    }

    /// Something was read: the beginning of a head, if nothing else was under way.
    pub(super) fn read(&self) {
        if self.is(FIRST) || self.is(WAITING) {
            self.enter(HEAD, self.clock.moment());
        }
    }

    /// A request's head was read to its end; returns when.
    pub(super) fn busy(&self) -> Moment {
        let now = self.clock.moment();
        self.enter(BUSY, now);
        now
    }

    /// A request had its answer at `now`, which is to be sent.
    pub(super) fn answering(&self, now: Moment) {
        self.enter(ANSWERING, now);
    }

    /// The end of the answer was taken; some of it may still have to be sent.
    pub(super) fn answered(&self) {
        self.enter(FLUSHING, self.clock.moment());
    }

    /// Everything that there is to send was sent.
    pub(super) fn flushed(&self) {
        if self.is(FLUSHING) {
            self.enter(WAITING, self.clock.moment());
        }
    }

    /// Whether every request whose head was read to its end has had its answer.
    pub(super) fn is_between_requests(&self) -> bool {
        self.is(FIRST) || self.is(WAITING) || self.is(HEAD)
    }

    /// What the connection has waited for too long, or how long it may still wait at least.
    pub(super) fn check(&self, idle: Duration, head: Duration) -> Result<Duration, Overdue> {
        let now = self.now.load(Ordering::Relaxed);
        let since = Duration::from_millis(self.elapsed_ms(self.clock.moment()).saturating_sub(now >> PHASE_BITS));
        let left = |limit: Duration, overdue| limit.checked_sub(since).filter(|left| !left.is_zero()).ok_or(overdue);
        match phase(now) {
            // A client that connects has something to ask.
            FIRST => left(idle.min(head), Overdue::Request),
            WAITING | ANSWERING | FLUSHING => left(idle, Overdue::Request).map(|left| left.min(head)),
            HEAD => left(head, Overdue::Head),
            _ => Ok(idle.min(head)),
        }
    }

    fn enter(&self, phase: u64, now: Moment) {
        self.now.store(self.elapsed_ms(now) << PHASE_BITS | phase, Ordering::Relaxed);
    }

    fn is(&self, phase: u64) -> bool {
        self::phase(self.now.load(Ordering::Relaxed)) == phase
    }

    fn elapsed_ms(&self, moment: Moment) -> u64 {
        moment.since(self.start).as_millis() as u64
    }
}

fn phase(now: u64) -> u64 {
    now & ((1 << PHASE_BITS) - 1)
}
