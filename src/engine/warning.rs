//! When clients are to be warned that time runs out: computed instants, no state. Does not know who listens.

use super::id::ParticipantId;
use super::session::Session;
use super::time::{Millis, Timestamp};

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
}
