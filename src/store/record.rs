//! A state as it is kept: the session and its bytes, encoded once. Does not know where it is kept.

use crate::engine::{Millis, Session, Status, Timestamp};
use crate::wire::{self, Encoded};

use super::Countdown;

const HOUR: Millis = Millis::new(3_600_000);
const DAY: Millis = Millis::new(86_400_000);

/// A state and its bytes.
#[derive(Debug)]
pub struct Record {
    session: Session,
    encoded: Encoded,
}

impl Record {
    /// The record of a state that was made at `now`.
    pub fn new(session: Session, now: Timestamp) -> Self {
        let encoded = wire::encode(&session, now);
        Self { session, encoded }
    }

    /// The state.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Its bytes.
    pub fn encoded(&self) -> &Encoded {
        &self.encoded
    }

    /// When clients are to be warned.
    pub fn countdown(&self) -> Countdown {
        Countdown { warnings: self.session.warnings(), deadline: self.session.deadline() }
    }

    /// How long the state is kept when it was written at `now` and not again: an hour past the deadline
    /// while a clock runs, a day while it waits for somebody, an hour after the end.
    pub fn lifetime(&self, now: Timestamp) -> Millis {
        match (self.session.status, self.session.deadline()) {
            (_, Some(deadline)) => deadline.since(now) + HOUR,
            (Status::Pending | Status::Running | Status::Paused, None) => DAY,
            (Status::Expired | Status::Completed | Status::Cancelled, None) => HOUR,
        }
    }
}
