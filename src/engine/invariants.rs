//! What holds of every session after every change, as one function; and what holds between a state and
//! its successor. Knows no rule that says how a state comes about.

use super::rotation;
use super::session::{Mode, Session, Status};
use super::time::Millis;

/// The first thing that is wrong with a session; `None` when all is well.
pub fn violation(session: &Session) -> Option<&'static str> {
    // What the others look up.
    if session.participants.iter().any(|participant| participant.clock >= session.clocks.len()) {
        return Some("every participant has a clock");
    }
    if let Some(controls) = &session.controls
        && (controls.segments.len() != session.clocks.len() || controls.rules.len() != session.participants.len())
    {
        return Some("every clock has a time control, or none has");
    }
    let active = session.turn.map(|turn| &session.participants[turn.participant]);
    let rules = [
        (session.version >= 1, "versions start at 1"),
        (!session.participants.is_empty(), "a session has a participant"),
        (
            session.turn.is_some() == matches!(session.status, Status::Running | Status::Paused),
            "somebody is active in running and paused only",
        ),
        (session.cycle_started_at().is_some() == (session.status == Status::Running), "a turn runs in running only"),
        (session.completed_at.is_some() == session.status.is_final(), "an ended session has an end, no other has"),
        (
            session.started_at.is_some()
                || !matches!(session.status, Status::Running | Status::Paused | Status::Expired),
            "what runs was started",
        ),
        (session.deadline().is_none() || session.status == Status::Running, "only what runs has a deadline"),
        (
            session.participants.iter().all(|one| one.expired_at.is_none() || one.has_expired),
            "who has an instant of expiry has expired",
        ),
        (
            session.created_at <= session.updated_at && session.cycle_started_at() <= Some(session.updated_at),
            "no instant lies after the last change",
        ),
        (session.unattended_turns == 0 || session.status == Status::Running, "only what runs goes on by itself"),
        (shared_clocks_flag_together(session), "who shares a clock expires together"),
        (
            session.mode == Mode::CountUp
                || active.is_none_or(|one| !one.has_expired || session.clocks[one.clock].is_zero()),
            "a clock that flagged stands at zero",
        ),
        (time_is_conserved(session), "time is conserved"),
        (clocks_are_their_segments(session), "a clock has what its segments come to"),
    ];
    rules.iter().find(|(holds, _)| !holds).map(|(_, rule)| *rule)
}

/// The first thing that is wrong about `after` following `before`; `None` when all is well.
pub fn violation_between(before: &Session, after: &Session) -> Option<&'static str> {
    let pairs = || before.participants.iter().zip(&after.participants);
    let rules = [
        (before == after || after.version == before.version + 1, "a change makes the next version"),
        (before.id == after.id && before.epoch == after.epoch, "a session keeps its name and epoch"),
        (before.updated_at <= after.updated_at, "time does not run backwards"),
        (!before.status.is_final() || before.status == after.status, "an end is final"),
        (before.participants.len() == after.participants.len(), "nobody joins or leaves"),
        (pairs().all(|(old, new)| old.used <= new.used), "time used only grows"),
        (pairs().all(|(old, new)| old.cycles <= new.cycles), "turns only grow"),
        (
            matches!(before.mode, Mode::PerCycle | Mode::CountUp)
                || before.participants.len() != after.participants.len()
                || (0..before.participants.len())
                    .all(|position| !rotation::is_out(before, position) || after.participants[position].has_expired),
            "who is out stays out",
        ),
    ];
    rules.iter().find(|(holds, _)| !holds).map(|(_, rule)| *rule)
}

fn shared_clocks_flag_together(session: &Session) -> bool {
    let mut flagged = vec![None; session.clocks.len()];
    session.mode == Mode::PerCycle
        || session.participants.iter().all(|one| *flagged[one.clock].get_or_insert(one.has_expired) == one.has_expired)
}

/// What a clock had, less what was used of it, is what it has; increments come on top.
fn time_is_conserved(session: &Session) -> bool {
    if session.controls.is_some() {
        return true;
    }
    match session.mode {
        Mode::Global => session.clocks[0] + used(session)[0] == session.total_time,
        Mode::PerCycle => session.turn.is_some() || session.clocks[0].is_zero(),
        Mode::PerParticipant => {
            session.participants.iter().all(|one| session.clocks[one.clock] + one.used >= one.initial_time)
        }
        Mode::PerGroup => {
            let used = used(session);
            session.groups.iter().all(|group| session.clocks[group.clock] + used[group.clock] >= group.total_time)
        }
        Mode::CountUp => session.participants.iter().all(|one| {
            let left = session.clocks[one.clock];
            session.max_time.map_or(left == one.initial_time, |max| left + one.used == max)
        }),
    }
}

/// Under a time control a clock shows what its segments have, but for one that flagged, and for a turn that ends with the
/// session's time.
fn clocks_are_their_segments(session: &Session) -> bool {
    let Some(controls) = &session.controls else { return true };
    let is_running = |clock| session.active().is_some_and(|one| one.clock == clock);
    (0..session.participants.len()).all(|position| {
        let (clock, control) = (session.participants[position].clock, controls.rules.control(position));
        let (segments, shown) = (&controls.segments[clock], session.clocks[clock]);
        if !segments.is_within(control) || session.mode == Mode::PerCycle && !is_running(clock) {
            return segments.is_within(control) && shown.is_zero();
        }
        if session.mode == Mode::PerCycle
            && session.active().is_none_or(|one| one.id != session.participants[position].id)
        {
            return true;
        }
        let whole = segments.shown(control);
        let may_be_less = is_running(clock) || session.status.is_final() || session.participants[position].has_expired;
        if may_be_less { shown <= whole } else { shown == whole }
    })
}

/// What was used of each clock.
fn used(session: &Session) -> Vec<Millis> {
    let mut used = vec![Millis::ZERO; session.clocks.len()];
    for one in &session.participants {
        used[one.clock] += one.used;
    }
    used
}
