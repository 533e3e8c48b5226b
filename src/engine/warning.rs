//! When clients are to be warned that time runs out: computed instants, no state. Does not know who listens.

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
    /// All warnings of the running turn, soonest first, if it goes on. A threshold counts only when the
    /// turn began (or went on) above it.
    pub fn warnings(&self) -> Vec<Warning> {
        let (Some(deadline), Some(since), Some(active)) = (self.deadline(), self.cycle_started_at(), self.active())
        else {
            return Vec::new();
        };
        let budget = deadline.since(since);
        let thresholds = self.warn_at.iter().filter(|&&threshold| budget > threshold);
        let mut warnings: Vec<_> = thresholds
            .map(|&threshold| Warning { at: since + (budget - threshold), participant: active.id, threshold })
            .collect();
        warnings.sort_by_key(|warning| warning.at);
        warnings.dedup();
        warnings
    }

    /// The first warning that is due after `after`, if the running turn goes on.
    pub fn next_warning(&self, after: Timestamp) -> Option<Warning> {
        self.warnings().into_iter().find(|warning| warning.at > after)
    }

    /// What the running clock has left at `at`; `None` when no clock runs down.
    pub fn remaining_at(&self, at: Timestamp) -> Option<Millis> {
        self.deadline().map(|deadline| deadline.since(at))
    }
}
