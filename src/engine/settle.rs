//! What time alone has done: fires the flags whose deadlines have passed, each at its deadline and
//! whatever the time of notice. Does not know of commands.

use super::budget;
use super::rotation;
use super::{Event, Millis, Mode, OnTimeout, Session, Status, Timestamp};

/// Brings `session` to what is true at `at` and lists what happened on the way.
pub(super) fn settle(session: &mut Session, at: Timestamp, events: &mut Vec<Event>) {
    while let Some(deadline) = session.deadline().filter(|&deadline| deadline <= at) {
        flag(session, deadline, events);
        skip_rounds(session, at, events);
    }
}

/// The running clock reached `deadline`.
fn flag(session: &mut Session, deadline: Timestamp, events: &mut Vec<Event>) {
    let Some(turn) = session.turn else { return };
    if let Some(budget) = budget::budget(session, turn.participant) {
        budget::charge(session, budget);
    }
    mark(session, turn.participant, deadline);
    let participant = session.participants[turn.participant].id;
    events.push(Event::ParticipantExpired { participant, at: deadline });

    let next = match (session.on_timeout, session.mode) {
        (OnTimeout::Notify, _) => return,
        (OnTimeout::Expire, _) | (OnTimeout::Advance, Mode::Global) => None,
        (OnTimeout::Advance, Mode::PerCycle) if budget::unspent(session).is_zero() => None,
        (OnTimeout::Advance, _) => rotation::next(session, turn.participant),
    };
    session.participants[turn.participant].cycles += 1;
    match next {
        Some(next) => {
            session.begin_turn(next, deadline);
            session.unattended_turns += 1;
        }
        None => {
            session.end(Status::Expired, deadline);
            events.push(Event::SessionExpired { at: deadline });
        }
    }
}

/// Marks everybody who runs the clock that flagged; when it flagged is kept by the one whose turn it was.
fn mark(session: &mut Session, active: usize, deadline: Timestamp) {
    match session.mode {
        Mode::PerCycle => session.participants[active].has_expired = true,
        Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {
            let clock = session.participants[active].clock;
            for participant in &mut session.participants {
                participant.has_expired |= participant.clock == clock;
            }
        }
    }
    session.participants[active].expired_at = Some(deadline);
}

/// A session that nobody touched under [`OnTimeout::Advance`] in [`Mode::PerCycle`] repeats the same
/// round until its time is spent. All whole rounds but the last are computed at once: what they leave
/// behind is time used and turns counted, everything else the last round overwrites.
fn skip_rounds(session: &mut Session, at: Timestamp, events: &mut Vec<Event>) {
    let (Mode::PerCycle, OnTimeout::Advance, Some(turn)) = (session.mode, session.on_timeout, session.turn) else {
        return;
    };
    let Some(since) = turn.since else { return };
    let round: Millis = (0..session.participants.len()).map(|place| budget::full_turn(session, place)).sum();
    let rounds = at.since(since).min(budget::unspent(session)).whole(round).saturating_sub(1);
    if rounds == 0 {
        return;
    }
    for place in 0..session.participants.len() {
        let used = budget::full_turn(session, place).times(rounds);
        session.participants[place].used += used;
        session.participants[place].cycles += rounds;
    }
    let until = since + round.times(rounds);
    session.begin_turn(turn.participant, until);
    session.unattended_turns += rounds * session.participants.len() as u64;
    events.push(Event::RoundsExpired { rounds, until });
}
