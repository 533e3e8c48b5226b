//! What a deployment may do beside what the model says: how well its clock agrees with that of the history, and when its
//! store may have lost what it had acknowledged.

use super::operation::Instant;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Instant,
    pub to: Instant,
}

/// What is allowed.
#[derive(Clone, Debug)]
pub struct Rules {
    /// By how much the server's clock and that of the history may disagree: about a deadline, and about which of two
    /// operations came first, where an answer goes by that.
    pub tolerance: Instant,
    /// When the store may have gone back to an earlier state, once in each, in order; the next change then has an epoch above
    /// all others.
    pub losses: Vec<Span>,
    /// Whether only what nobody was answered may be lost, though somebody may have seen it: such as a change that is made
    /// before it is durable, and answered after that.
    pub keeps_acknowledged: bool,
    /// Whether a session that the store has lost may be put back from the audit, as a change of its own.
    pub recovers: bool,
    /// After how many steps the search gives up.
    pub steps_max: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            tolerance: 50_000_000,
            losses: Vec::new(),
            keeps_acknowledged: false,
            recovers: false,
            steps_max: 300_000,
        }
    }
}

impl Rules {
    /// Those of a store that may have lost changes at these times.
    #[must_use]
    pub fn with_losses(self, losses: Vec<Span>) -> Self {
        Self { losses, ..self }
    }
}
