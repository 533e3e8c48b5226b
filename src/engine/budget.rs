//! What a turn may use and what it costs: the whole difference between the modes. Where a session has a time control
//! `controls` says it. Does not know why a turn ends.

use super::controls;
use super::session::{Mode, OnTimeout, Session};
use super::time::{Millis, Timestamp};

/// How long a turn of `participant` may run on from the instant at which it began or went on; `None` is
/// without end.
pub(super) fn budget(session: &Session, participant: usize) -> Option<Millis> {
    if session.controls.is_some() && controls::is_endless(session, participant) {
        return None;
    }
    let left = session.clocks[session.participants[participant].clock];
    match session.mode {
        Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::Global => Some(left),
        Mode::CountUp => session.max_time.map(|_| left),
    }
}

/// What a turn of `participant` has in [`Mode::PerCycle`] when nothing else limits it.
pub(super) fn full_turn(session: &Session, participant: usize) -> Millis {
    match &session.controls {
        None => session.time_per_cycle.unwrap_or(session.participants[participant].initial_time),
        Some(controls) => controls::full_turn(controls, participant),
    }
}

/// What a new turn of `participant` has in [`Mode::PerCycle`]. Where flags advance, all turns together
/// last no longer than the session, so that an unattended one ends.
pub(super) fn turn_time(session: &Session, participant: usize, unspent: impl FnOnce(&Session) -> Millis) -> Millis {
    let full = full_turn(session, participant);
    match session.on_timeout {
        OnTimeout::Expire | OnTimeout::Notify => full,
        OnTimeout::Advance => full.min(unspent(session)),
    }
}

/// What the session's time has left beside all the time used in turns.
pub(super) fn unspent(session: &Session) -> Millis {
    session.total_time - session.participants.iter().map(|participant| participant.used).sum()
}

/// What the turn in progress costs at `at`: the time since it began or went on, but nothing beyond a flag.
pub(super) fn elapsed(session: &Session, at: Timestamp) -> Millis {
    match (session.active(), session.cycle_started_at()) {
        (Some(active), Some(since)) if !active.has_expired => at.since(since),
        _ => Millis::ZERO,
    }
}

/// Charges the active participant for `elapsed` of its turn.
pub(super) fn charge(session: &mut Session, elapsed: Millis) {
    let Some(turn) = session.turn else { return };
    session.participants[turn.participant].used += elapsed;
    if session.controls.is_some() {
        return controls::charge(session, turn.participant, elapsed);
    }
    let clock = session.participants[turn.participant].clock;
    session.clocks[clock] = match session.mode {
        Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::Global => session.clocks[clock] - elapsed,
        Mode::CountUp => count_up_left(session, turn.participant),
    };
}

/// Gives the active participant's clock what a turn earns that was completed in time by a switch to `next`.
pub(super) fn reward(session: &mut Session, next: usize) {
    let Some(turn) = session.turn else { return };
    let clock = session.participants[turn.participant].clock;
    let is_rewarded = match session.mode {
        Mode::PerParticipant => true,
        Mode::PerGroup => session.participants[next].clock != clock,
        Mode::PerCycle | Mode::Global | Mode::CountUp => false,
    };
    match &session.controls {
        _ if !is_rewarded => {}
        None => session.clocks[clock] += session.increment,
        Some(_) => controls::complete(session, turn.participant),
    }
}

/// Whether a clock that flagged in [`Mode::CountUp`] could go on.
pub(super) fn has_room(session: &Session, participant: usize) -> bool {
    match session.mode {
        Mode::CountUp => session.max_time.is_none_or(|max| session.participants[participant].used < max),
        Mode::PerParticipant | Mode::PerCycle | Mode::PerGroup | Mode::Global => false,
    }
}

/// What a clock of [`Mode::CountUp`] shows: the way to the maximum, or the initial time without one.
pub(super) fn count_up_left(session: &Session, participant: usize) -> Millis {
    let participant = &session.participants[participant];
    session.max_time.map_or(participant.initial_time, |max| max - participant.used)
}
