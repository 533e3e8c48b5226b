//! What time alone has done: fires the flags whose deadlines have passed, each at its deadline and
//! whatever the time of notice. Does not know of commands.

use super::budget;
use super::controls;
use super::event::Event;
use super::rotation::{self, Rotation};
use super::session::{Mode, OnTimeout, Session, Status};
use super::time::{Millis, Timestamp};

/// Brings `session` to what is true at `at` and lists what happened on the way. What it costs grows with the
/// participants and with the flags, but not with one times the other.
pub(super) fn settle(session: &mut Session, at: Timestamp, events: &mut Vec<Event>) {
    let mut overview = None;
    while let Some(deadline) = session.deadline().filter(|&deadline| deadline <= at) {
        let overview = overview.get_or_insert_with(|| Overview::of(session));
        flag(session, deadline, overview, events);
        skip_rounds(session, at, overview, events);
    }
}

/// What every flag needs of all participants: computed once while flags fire.
struct Overview {
    /// Whose turn comes next.
    rotation: Rotation,
    /// The participants, together with whom they share a clock.
    by_clock: Vec<usize>,
    /// What all of them have used.
    used: Millis,
    /// How long it takes until each has had a full turn, in [`Mode::PerCycle`].
    round: Millis,
}

impl Overview {
    fn of(session: &Session) -> Self {
        let positions = 0..session.participants.len();
        let mut by_clock: Vec<_> = positions.clone().collect();
        by_clock.sort_by_key(|&position| session.participants[position].clock);
        Self {
            rotation: Rotation::of(session),
            by_clock,
            used: session.participants.iter().map(|participant| participant.used).sum(),
            round: positions.map(|position| budget::full_turn(session, position)).sum(),
        }
    }

    /// Who runs `clock`.
    fn members(&self, session: &Session, clock: usize) -> &[usize] {
        let clock_of = |position: usize| session.participants[position].clock;
        let from = self.by_clock.partition_point(|&position| clock_of(position) < clock);
        let len = self.by_clock[from..].partition_point(|&position| clock_of(position) == clock);
        &self.by_clock[from..from + len]
    }

    /// What [`budget::unspent`] is.
    fn unspent(&self, session: &Session) -> Millis {
        session.total_time - self.used
    }
}

/// The running clock reached `deadline`.
fn flag(session: &mut Session, deadline: Timestamp, overview: &mut Overview, events: &mut Vec<Event>) {
    let Some(turn) = session.turn else { return };
    if let Some(budget) = budget::budget(session, turn.participant) {
        budget::charge(session, budget);
        overview.used += budget;
    }
    mark(session, turn.participant, deadline, overview);
    let participant = session.participants[turn.participant].id;
    events.push(Event::ParticipantExpired { participant, at: deadline });

    let next = match (session.on_timeout, session.mode) {
        (OnTimeout::Notify, _) => return,
        (OnTimeout::Expire, _) | (OnTimeout::Advance, Mode::Global) => None,
        (OnTimeout::Advance, _) if session.is_bound_by_total() && overview.unspent(session).is_zero() => None,
        (OnTimeout::Advance, _) => overview.rotation.next(session, turn.participant),
    };
    session.participants[turn.participant].cycles += 1;
    match next {
        Some(next) => {
            session.begin_turn_within(next, deadline, |session| overview.unspent(session));
            session.unattended_turns += 1;
        }
        None => {
            session.end(Status::Expired, deadline);
            events.push(Event::SessionExpired { at: deadline });
        }
    }
}

/// Marks every participant of the clock that flagged; the active one records when.
fn mark(session: &mut Session, active: usize, deadline: Timestamp, overview: &Overview) {
    match session.mode {
        Mode::PerCycle => session.participants[active].has_expired = true,
        Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {
            for &position in overview.members(session, session.participants[active].clock) {
                session.participants[position].has_expired = true;
            }
        }
    }
    session.participants[active].expired_at = Some(deadline);
}

/// A session without commands under [`OnTimeout::Advance`] in [`Mode::PerCycle`], or whose turns have time of their own
/// under a time control, repeats the same round until its time is spent. All whole rounds but the last are computed at once: what they leave
/// behind is time used and turns counted, everything else the last round overwrites.
fn skip_rounds(session: &mut Session, at: Timestamp, overview: &mut Overview, events: &mut Vec<Event>) {
    let (true, Some(turn)) = (session.is_bound_by_total(), session.turn) else { return };
    let (Some(since), Some(round)) = (turn.since, round(session, overview)) else { return };
    let rounds = at.since(since).min(overview.unspent(session)).whole(round).saturating_sub(1);
    if rounds == 0 {
        return;
    }
    let mut turns = 0;
    for position in 0..session.participants.len() {
        if rotation::is_out(session, position) {
            continue;
        }
        turns += 1;
        let used = match session.mode {
            Mode::PerCycle => budget::full_turn(session, position),
            Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {
                controls::steady_turn(session, position).unwrap_or_default()
            }
        };
        let used = used.times(rounds);
        session.participants[position].used += used;
        overview.used += used;
        session.participants[position].cycles += rounds;
    }
    let until = since + round.times(rounds);
    session.begin_turn_within(turn.participant, until, |session| overview.unspent(session));
    session.unattended_turns += rounds * turns;
    events.push(Event::RoundsExpired { rounds, until });
}

/// How long it takes until each has had a turn again; `None` when the turns of a round are not those of the one before.
fn round(session: &Session, overview: &Overview) -> Option<Millis> {
    if session.mode == Mode::PerCycle {
        return Some(overview.round);
    }
    let staying = (0..session.participants.len()).filter(|&position| !rotation::is_out(session, position));
    staying.map(|position| controls::steady_turn(session, position)).sum()
}
