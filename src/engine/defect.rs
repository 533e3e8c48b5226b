//! What is wrong with a session of foreign origin: the bounds that a create would have held it to,
//! and then everything that holds of each session. Does not know where it was read.

use super::control::Segments;
use super::invariants;
use super::session::{Mode, Session};
use super::time::{Millis, Timestamp};

/// Whole numbers that every JSON reader keeps.
const NUMBER_MAX: u64 = (1 << 53) - 1;
/// The last instant of the year 9999.
const INSTANT_MAX: Timestamp = Timestamp::from_ms(253_402_300_799_999);
/// Participants at most.
const PARTICIPANTS_MAX: usize = 1_000;

/// The first reason not to go on from a session as it was read; `None` when there is none.
pub fn defect(session: &Session) -> Option<&'static str> {
    // Bounds first: the rules that come after them add up what is bounded here.
    let rules = [
        (session.participants.len() <= PARTICIPANTS_MAX, "a session has no more than 1000 participants"),
        (numbers_are_bounded(session), "every number is below 2^53"),
        (instants_are_bounded(session), "no instant lies beyond the year 9999"),
        (turns_have_time(session), "a turn has time"),
        (names_are_unique(session), "no two participants have the same name"),
        (clocks_are_bounded(session), "every clock is below 2^53 ms"),
    ];
    let broken = rules.iter().find(|(holds, _)| !holds).map(|(_, rule)| *rule);
    broken.or_else(|| invariants::violation(session))
}

fn numbers_are_bounded(session: &Session) -> bool {
    let is_bounded = |length: &Millis| length.as_ms() <= NUMBER_MAX;
    let lengths = [Some(session.total_time), session.time_per_cycle, Some(session.increment), session.max_time];
    let in_participants = session.participants.iter().all(|one| {
        is_bounded(&one.initial_time) && is_bounded(&one.used) && one.cycles <= NUMBER_MAX && one.index <= NUMBER_MAX
    });
    in_participants
        && lengths.iter().flatten().all(is_bounded)
        && session.warn_at.iter().all(is_bounded)
        && session.groups.iter().all(|group| is_bounded(&group.total_time))
        && session.version <= NUMBER_MAX
        && session.epoch <= NUMBER_MAX
        && session.unattended_turns <= NUMBER_MAX
}

fn instants_are_bounded(session: &Session) -> bool {
    let instants = [
        Some(session.created_at),
        Some(session.updated_at),
        session.started_at,
        session.completed_at,
        session.cycle_started_at(),
    ];
    instants.iter().flatten().all(|at| *at <= INSTANT_MAX)
}

/// Turns without any would follow each other without end.
fn turns_have_time(session: &Session) -> bool {
    match session.mode {
        Mode::PerCycle if session.controls.is_some() => true,
        Mode::PerCycle => match session.time_per_cycle {
            Some(time) => !time.is_zero(),
            None => session.participants.iter().all(|one| !one.initial_time.is_zero()),
        },
        Mode::PerParticipant | Mode::PerGroup | Mode::Global | Mode::CountUp => true,
    }
}

fn clocks_are_bounded(session: &Session) -> bool {
    let segments = session.controls.iter().flat_map(|controls| &controls.segments);
    let of_segments =
        |one: &Segments| [one.free, one.main, one.period, one.over].iter().all(|part| part.as_ms() <= NUMBER_MAX);
    session.clocks.iter().all(|clock| clock.as_ms() <= NUMBER_MAX)
        && segments.clone().all(of_segments)
        && segments.clone().all(|one| one.moves <= NUMBER_MAX && one.moves_left <= NUMBER_MAX)
        && session.controls.as_ref().is_none_or(|controls| controls.turn_used.as_ms() <= NUMBER_MAX)
}

fn names_are_unique(session: &Session) -> bool {
    let mut names: Vec<_> = session.participants.iter().map(|one| one.id).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}
