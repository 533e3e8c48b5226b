//! Whose turn comes next: by participant index, ties by the order given. Does not know why it is asked.

use super::{Mode, Session};

/// The first participant of the rotation.
pub(super) fn first(session: &Session) -> usize {
    (0..session.participants.len()).min_by_key(|&place| key(session, place)).expect("a session has a participant")
}

/// The next participant after `place` whose clock has not flagged, `place` itself last; `None` when
/// every clock has. In [`Mode::PerCycle`] nobody is ever out.
pub(super) fn next(session: &Session, place: usize) -> Option<usize> {
    let here = key(session, place);
    (0..session.participants.len())
        .filter(|&other| !is_out(session, other))
        .min_by_key(|&other| (key(session, other) <= here, key(session, other)))
}

/// Whether a participant can have no further turn.
pub(super) fn is_out(session: &Session, place: usize) -> bool {
    match session.mode {
        Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => session.participants[place].has_expired,
        Mode::PerCycle => false,
    }
}

fn key(session: &Session, place: usize) -> (u64, usize) {
    (session.participants[place].index, place)
}
