//! The same session by a clock that shows another time. Does not know why the clock shows it.

use super::session::{Session, Status};
use super::time::Timestamp;

impl Session {
    /// The session with every instant moved so that `from` becomes `to`: what its clocks have left at `to` is what they had
    /// at `from`. It is not another state yet: the store gives it a new tag.
    pub fn rebased(&self, from: Timestamp, to: Timestamp) -> Self {
        let moved = |at: Timestamp| at.before(from.since(to)) + to.since(from);
        let mut session = self.clone();
        for participant in &mut session.participants {
            participant.expired_at = participant.expired_at.map(moved);
        }
        if let Some(turn) = &mut session.turn {
            turn.since = turn.since.map(moved);
        }
        session.created_at = moved(session.created_at);
        session.updated_at = moved(session.updated_at);
        session.started_at = session.started_at.map(moved);
        session.completed_at = session.completed_at.map(moved);
        session
    }

    /// Whether what becomes of the session depends on where its instants lie to `now`, when the clock that they
    /// were taken from does not go on.
    pub fn depends_on_clock(&self, now: Timestamp) -> bool {
        match self.status {
            Status::Running => true,
            Status::Pending | Status::Paused => self.updated_at > now,
            Status::Expired | Status::Completed | Status::Cancelled => false,
        }
    }
}
