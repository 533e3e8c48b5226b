//! How a command is judged: settle, then the checks in their order, then the change. A refused command changes nothing; what
//! settling changed stays. Does not know who sent the command.

use super::budget;
use super::command::{Command, Patch, Precondition};
use super::event::Event;
use super::id::ParticipantId;
use super::invariants;
use super::judgement::{Judgement, Outcome};
use super::refusal::Refusal;
use super::rotation;
use super::session::{Mode, OnTimeout, Session, Status, Turn};
use super::settle::settle;
use super::time::{Millis, Timestamp};

/// Judges `command`, which arrived at `at` by the server clock, not before the session's last change.
pub fn judge(before: &Session, command: &Command, precondition: &Precondition, at: Timestamp) -> Judgement {
    let mut session = before.clone();
    let mut events = Vec::new();
    settle(&mut session, at, &mut events);
    let verdict = if is_late(&session, command) {
        Ok(Outcome { expired: session.last_expired(), late: true })
    } else if precondition.holds(before) {
        carry_out(&mut session, command, at, &mut events)
    } else {
        Err(conflict(&session, precondition))
    };
    let is_attended = match command {
        Command::Settle | Command::Delete => false,
        Command::Start
        | Command::Pause
        | Command::Resume
        | Command::Switch { .. }
        | Command::Complete
        | Command::Cancel
        | Command::Patch(_) => verdict.is_ok(),
    };
    if !events.is_empty() {
        if is_attended {
            session.unattended_turns = 0;
        }
        session.version += 1;
        session.updated_at = at;
    }
    let verdict = verdict.map_err(|refusal| current(refusal, &session, precondition));
    debug_assert_eq!(invariants::violation(&session), None, "after {command:?}");
    debug_assert_eq!(invariants::violation_between(before, &session), None, "after {command:?}");
    Judgement { session, events, verdict }
}

/// Whether a switch came after the flag that it wanted to forestall.
fn is_late(session: &Session, command: &Command) -> bool {
    let Command::Switch { current, .. } = command else { return false };
    session.status == Status::Expired
        || current.and_then(|id| session.position(id)).is_some_and(|position| {
            session.participants[position].has_expired && session.turn.is_none_or(|turn| turn.participant != position)
        })
}

fn conflict(session: &Session, precondition: &Precondition) -> Refusal {
    Refusal::Conflict { actual_version: session.version, expected_version: precondition.version }
}

/// A conflict, whatever its cause, names the version that the session has now, settling included, and the
/// one that the caller named.
fn current(refusal: Refusal, session: &Session, precondition: &Precondition) -> Refusal {
    match refusal {
        Refusal::Conflict { .. } => conflict(session, precondition),
        Refusal::NotFound
        | Refusal::Exists
        | Refusal::CannotStart(_)
        | Refusal::CannotPause(_)
        | Refusal::CannotResume(_)
        | Refusal::NotRunning(_)
        | Refusal::CannotUpdate(_)
        | Refusal::UnknownParticipant(_)
        | Refusal::ExpiredParticipant(_)
        | Refusal::MaxTimeBelowUsed { .. }
        | Refusal::TotalTimeUsed { .. }
        | Refusal::SetByTimeControl(_)
        | Refusal::CannotAdvance
        | Refusal::StateTooLarge
        | Refusal::MetadataTooLarge
        | Refusal::OtherCommand => refusal,
    }
}

/// Carries out `command` on a settled session, or refuses it and leaves the session alone.
fn carry_out(
    session: &mut Session,
    command: &Command,
    at: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Outcome, Refusal> {
    match command {
        Command::Settle | Command::Delete => Ok(Outcome::default()),
        Command::Start => start(session, at, events),
        Command::Pause => pause(session, at, events),
        Command::Resume => resume(session, at, events),
        Command::Switch { next, current } => switch(session, *next, *current, at, events),
        Command::Complete => Ok(end(session, Status::Completed, Event::Completed, at, events)),
        Command::Cancel => Ok(end(session, Status::Cancelled, Event::Cancelled, at, events)),
        Command::Patch(patch) => update(session, patch, at, events),
    }
}

fn start(session: &mut Session, at: Timestamp, events: &mut Vec<Event>) -> Result<Outcome, Refusal> {
    if session.status != Status::Pending {
        return Err(Refusal::CannotStart(session.status));
    }
    let first = rotation::first(session);
    session.status = Status::Running;
    session.started_at = Some(at);
    session.begin_turn(first, at);
    events.push(Event::Started { to: session.participants[first].id });
    Ok(Outcome::default())
}

fn pause(session: &mut Session, at: Timestamp, events: &mut Vec<Event>) -> Result<Outcome, Refusal> {
    let (Status::Running, Some(turn)) = (session.status, session.turn) else {
        return Err(Refusal::CannotPause(session.status));
    };
    let elapsed = budget::elapsed(session, at);
    budget::charge(session, elapsed);
    session.turn = Some(Turn { since: None, ..turn });
    session.status = Status::Paused;
    events.push(Event::Paused);
    Ok(Outcome::default())
}

fn resume(session: &mut Session, at: Timestamp, events: &mut Vec<Event>) -> Result<Outcome, Refusal> {
    let (Status::Paused, Some(turn)) = (session.status, session.turn) else {
        return Err(Refusal::CannotResume(session.status));
    };
    session.turn = Some(Turn { since: Some(at), ..turn });
    session.status = Status::Running;
    events.push(Event::Resumed);
    Ok(Outcome::default())
}

fn switch(
    session: &mut Session,
    next: Option<ParticipantId>,
    current: Option<ParticipantId>,
    at: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Outcome, Refusal> {
    let (Status::Running, Some(turn)) = (session.status, session.turn) else {
        return Err(Refusal::NotRunning(session.status));
    };
    let active = &session.participants[turn.participant];
    let (from, flagged) = (active.id, active.has_expired);
    if current.is_some_and(|id| id != from) {
        return Err(Refusal::Conflict { actual_version: session.version, expected_version: None });
    }
    let next = match next {
        Some(id) => {
            let position = session.position(id).ok_or(Refusal::UnknownParticipant(id))?;
            if rotation::is_out(session, position) {
                return Err(Refusal::ExpiredParticipant(id));
            }
            Some(position)
        }
        None => rotation::next(session, turn.participant),
    };
    if next == Some(turn.participant) && !rotation::is_alone(session, turn.participant) {
        return go_on(session, turn, at, events);
    }

    let elapsed = budget::elapsed(session, at);
    budget::charge(session, elapsed);
    session.participants[turn.participant].cycles += 1;
    if let Some(next) = next.filter(|_| !flagged) {
        budget::reward(session, next);
    }
    let next = next.filter(|&position| match session.mode {
        Mode::PerCycle => !budget::turn_time(session, position, budget::unspent).is_zero(),
        Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => {
            session.controls.is_none() || !session.is_bound_by_total() || !budget::unspent(session).is_zero()
        }
    });
    events.push(Event::Switched { from, to: next.map(|position| session.participants[position].id) });
    match next {
        Some(next) => session.begin_turn(next, at),
        None => {
            session.end(Status::Expired, at);
            events.push(Event::SessionExpired { at });
        }
    }
    Ok(Outcome { expired: flagged.then_some(from), late: false })
}

/// A switch to oneself although another participant could have been next: it completes no turn and earns nothing. What was used
/// is charged, and the turn goes on with the rest, if there is any.
fn go_on(session: &mut Session, turn: Turn, at: Timestamp, events: &mut Vec<Event>) -> Result<Outcome, Refusal> {
    let active = &session.participants[turn.participant];
    let id = active.id;
    if active.has_expired {
        return Ok(Outcome { expired: Some(id), late: true });
    }
    let elapsed = budget::elapsed(session, at);
    budget::charge(session, elapsed);
    session.turn = Some(Turn { since: Some(at), ..turn });
    events.push(Event::Switched { from: id, to: Some(id) });
    Ok(Outcome::default())
}

/// Ends the session; one that has ended already stays as it is.
fn end(session: &mut Session, status: Status, event: Event, at: Timestamp, events: &mut Vec<Event>) -> Outcome {
    if !session.status.is_final() {
        let elapsed = budget::elapsed(session, at);
        budget::charge(session, elapsed);
        session.end(status, at);
        events.push(event);
    }
    Outcome::default()
}

fn update(session: &mut Session, patch: &Patch, at: Timestamp, events: &mut Vec<Event>) -> Result<Outcome, Refusal> {
    if session.status.is_final() && patch.names_settings() {
        return Err(Refusal::CannotUpdate(session.status));
    }
    if let Some(setting) = patch.clock_setting().filter(|_| session.controls.is_some()) {
        return Err(Refusal::SetByTimeControl(setting));
    }
    if patch.on_timeout == Some(OnTimeout::Advance) && session.cannot_advance() {
        return Err(Refusal::CannotAdvance);
    }
    if let Some(Some(max)) = patch.max_time {
        let used = most_used(session, at);
        if max < used {
            return Err(Refusal::MaxTimeBelowUsed { used });
        }
    }
    if begins_to_advance(session, patch) && budget::unspent(session) <= budget::elapsed(session, at) {
        return Err(Refusal::TotalTimeUsed { total: session.total_time });
    }
    let changed = [
        set(&mut session.metadata, &patch.metadata),
        set(&mut session.increment, &patch.increment),
        set(&mut session.time_per_cycle, &patch.time_per_cycle),
        set(&mut session.max_time, &patch.max_time),
        set(&mut session.on_timeout, &patch.on_timeout),
        set(&mut session.warn_at, &patch.warn_at),
    ];
    if session.mode == Mode::CountUp {
        for position in 0..session.participants.len() {
            let clock = session.participants[position].clock;
            session.clocks[clock] = budget::count_up_left(session, position);
        }
    }
    if changed.contains(&true) {
        events.push(Event::Updated);
        revive(session, at, events);
    }
    Ok(Outcome::default())
}

/// Whether turns are to advance by themselves from now on, within the session's time.
fn begins_to_advance(session: &Session, patch: &Patch) -> bool {
    session.has_endless_turns()
        && patch.on_timeout == Some(OnTimeout::Advance)
        && session.on_timeout != OnTimeout::Advance
}

/// Whoever counts up and has flagged at a maximum that is no limit any more goes on. Between the flag and now the clock
/// stood, so a turn that was waiting runs from now.
fn revive(session: &mut Session, at: Timestamp, events: &mut Vec<Event>) {
    for position in 0..session.participants.len() {
        if !session.participants[position].has_expired || !budget::has_room(session, position) {
            continue;
        }
        session.participants[position].has_expired = false;
        session.participants[position].expired_at = None;
        if let Some(turn) = &mut session.turn
            && turn.participant == position
        {
            turn.since = turn.since.map(|_| at);
        }
        events.push(Event::ParticipantRevived { participant: session.participants[position].id });
    }
}

/// The most that any participant has used, the running turn included.
fn most_used(session: &Session, at: Timestamp) -> Millis {
    let running = session.active().map(|active| active.used + budget::elapsed(session, at));
    session.participants.iter().map(|participant| participant.used).chain(running).max().unwrap_or_default()
}

/// Takes over a new value, if there is one; says whether it differs.
fn set<T: PartialEq + Clone>(setting: &mut T, new: &Option<T>) -> bool {
    match new {
        Some(new) if new != setting => {
            *setting = new.clone();
            true
        }
        _ => false,
    }
}
