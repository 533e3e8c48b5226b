//! What happened to a session: facts, in the order in which they happened. Does not know who receives them.

use super::id::ParticipantId;
use super::time::Timestamp;

/// One fact. A change can hold several: the flags that came due, then what the command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session began to be.
    Created,
    /// The first turn began.
    Started {
        /// Whose turn began.
        to: ParticipantId,
    },
    /// A turn was ended by a switch.
    Switched {
        /// Whose turn ended.
        from: ParticipantId,
        /// Whose turn began; `None` when no participant has time left, so that the session expired.
        to: Option<ParticipantId>,
    },
    /// The turn was interrupted.
    Paused,
    /// The turn went on.
    Resumed,
    /// The running clock reached its deadline.
    ParticipantExpired {
        /// Whose turn it was.
        participant: ParticipantId,
        /// The deadline.
        at: Timestamp,
    },
    /// Whole rounds of turns flagged one after the other, each participant's once a round.
    RoundsExpired {
        /// How many rounds.
        rounds: u64,
        /// The last deadline of the last of them.
        until: Timestamp,
    },
    /// A clock that had flagged goes on: its maximum was raised or taken away.
    ParticipantRevived {
        /// Whose clock.
        participant: ParticipantId,
    },
    /// The session ended because time ran out.
    SessionExpired {
        /// When.
        at: Timestamp,
    },
    /// The session was completed.
    Completed,
    /// The session was called off.
    Cancelled,
    /// Settings or metadata changed.
    Updated,
    /// The session was deleted.
    Deleted,
    /// The session came back from the record of its life.
    Recovered,
}
