//! Whose turn comes next: by participant index, ties by the order given. Does not know when a turn ends.

use super::controls;
use super::session::{Mode, Session};

/// The first participant of the rotation.
pub(super) fn first(session: &Session) -> usize {
    (0..session.participants.len()).min_by_key(|&position| key(session, position)).expect("a session has a participant")
}

/// The next participant after `position` whose clock has not flagged, `position` itself last; `None` when
/// every clock has. In [`Mode::PerCycle`] no participant is ever out.
pub(super) fn next(session: &Session, position: usize) -> Option<usize> {
    let index = |position: usize| session.participants[position].index;
    let (mut after, mut before) = (None, None);
    // In the order given, so that of equals the first is kept.
    for other in (0..session.participants.len()).filter(|&other| !is_out(session, other)) {
        let best = if key(session, other) > key(session, position) { &mut after } else { &mut before };
        if best.is_none_or(|best| index(other) < index(best)) {
            *best = Some(other);
        }
    }
    after.or(before)
}

/// The same as [`next`], for repeated calls while no participant who is out comes back: each of those is passed by at most
/// twice, however many calls there are.
pub(super) struct Rotation {
    order: Vec<usize>,
    /// Whose turn it is: an index into `order`, after the first call.
    at: Option<usize>,
}

impl Rotation {
    pub(super) fn of(session: &Session) -> Self {
        let mut order: Vec<_> = (0..session.participants.len()).collect();
        order.sort_by_key(|&position| key(session, position));
        Self { order, at: None }
    }

    /// What [`next`] is after `position`: first any participant, then the one that came next.
    pub(super) fn next(&mut self, session: &Session, position: usize) -> Option<usize> {
        let at = self
            .at
            .unwrap_or_else(|| self.order.partition_point(|&other| key(session, other) < key(session, position)));
        let (before, after) = self.order.split_at(at + 1);
        let on = after.iter().chain(before).position(|&other| !is_out(session, other))?;
        let at = (at + 1 + on) % self.order.len();
        self.at = Some(at);
        Some(self.order[at])
    }
}

/// Whether no other participant could have the next turn.
pub(super) fn is_alone(session: &Session, position: usize) -> bool {
    (0..session.participants.len()).all(|other| other == position || is_out(session, other))
}

/// Whether a participant can have no further turn.
pub(super) fn is_out(session: &Session, position: usize) -> bool {
    match session.mode {
        Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {
            session.participants[position].has_expired && !controls::renews(session, position)
        }
        Mode::PerCycle => false,
    }
}

fn key(session: &Session, position: usize) -> (u64, usize) {
    (session.participants[position].index, position)
}
