//! When clients are to be warned of a running clock. Does not know who warns them.

use crate::engine::{Session, Timestamp, Warning};

/// When the running clock passes what clients want to be warned of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Countdown {
    /// When the state was made.
    pub made_at: Timestamp,
    /// Soonest first.
    pub warnings: Vec<Warning>,
    /// When the clock flags.
    pub deadline: Option<Timestamp>,
}

impl Countdown {
    /// The running clock's of a session.
    pub fn of(session: &Session) -> Self {
        Self { made_at: session.updated_at, warnings: session.warnings(), deadline: session.deadline() }
    }
}
