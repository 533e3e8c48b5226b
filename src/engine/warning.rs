//! When clients are to be warned that time runs out: computed instants, no state. Does not know who listens.

use super::budget;
use super::{Millis, ParticipantId, Session, Timestamp};

/// One warning that is due at a known instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// When the running clock falls to the threshold.
    pub at: Timestamp,
    /// Whose turn it is.
    pub participant: ParticipantId,
    /// The remaining time that was asked for.
    pub threshold: Millis,
}

impl Session {
    /// The first warning that is due after `after`, if the running turn goes on. A threshold counts only
    /// when the turn began (or went on) above it.
    pub fn next_warning(&self, after: Timestamp) -> Option<Warning> {
        let turn = self.turn?;
        let active = &self.participants[turn.participant];
        if active.has_expired {
            return None;
        }
        let since = turn.since?;
        let budget = budget::budget(self, turn.participant)?;
        self.warn_at
            .iter()
            .filter(|&&threshold| budget > threshold)
            .map(|&threshold| Warning { at: since + (budget - threshold), participant: active.id, threshold })
            .filter(|warning| warning.at > after)
            .min_by_key(|warning| warning.at)
    }

    /// What the running clock has left at `at`; `None` when no clock runs down.
    pub fn remaining_at(&self, at: Timestamp) -> Option<Millis> {
        self.deadline().map(|deadline| deadline.since(at))
    }
}
