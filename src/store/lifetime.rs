//! How long a state is stored that is not written again. Does not know who removes it.

use crate::engine::{Millis, Status, Timestamp};

const HOUR: Millis = Millis::new(3_600_000);
const DAY: Millis = Millis::new(86_400_000);

/// How long states are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of a session that was created and not started.
    pub pending: Millis,
    /// Of one that is paused, or runs without a deadline.
    pub idle: Millis,
    /// Of one that has ended; and, from its deadline on, of one whose clock ran out and that was not settled.
    pub ended: Millis,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { pending: DAY, idle: DAY, ended: HOUR }
    }
}

impl Lifetimes {
    /// How long a state is kept that was written at `now` and not again.
    pub fn of(&self, status: Status, deadline: Option<Timestamp>, now: Timestamp) -> Millis {
        match (status, deadline) {
            (_, Some(deadline)) => deadline.since(now) + self.ended.max(HOUR),
            (Status::Pending, None) => self.pending,
            (Status::Running | Status::Paused, None) => self.idle,
            (Status::Expired | Status::Completed | Status::Cancelled, None) => self.ended,
        }
    }
}
