//! Everything that can happen to a small session, up to a depth: every command after every wait that
//! could matter, from none to long past a deadline. Clocks of a few milliseconds have all their instants
//! next to a boundary. States that differ in nothing that a rule speaks of are walked on from once.

use std::collections::HashSet;

use super::super::{Command, Millis, OnTimeout, Patch, Precondition, Session, Status, Timestamp};
use super::counting::Counting;
use super::described::{new_session, participant};
use super::judged::judged;

/// Walks `depth` commands deep into the session of `description`, with each choice of what a flag does.
fn walk(description: &str, depth: usize) {
    for on_timeout in OnTimeout::ALL {
        let new = new_session(&format!("{description} {}", on_timeout.name()));
        let commands = commands(new.participants.len());
        let session = new.create(1, Timestamp::from_ms(0));
        let mut here = vec![(session, Counting::new(&new), 0)];
        let mut known = HashSet::new();
        for step in 1..=depth {
            let mut there = Vec::new();
            for (session, counting, now) in &here {
                for at in waits(session, *now) {
                    for (command, precondition) in &commands {
                        let next = take(session, counting, command, precondition, at);
                        // Nothing follows on the last step; from an end everything has been tried once.
                        let goes_on = step < depth && !(session.status.is_final() && next.0.status.is_final());
                        if goes_on && known.insert(essence(&next.0, at)) {
                            there.push((next.0, next.1, at));
                        }
                    }
                }
            }
            here = there;
        }
    }
}

/// One command, compared with counting, and what holds of every command.
#[track_caller]
fn take(
    before: &Session,
    counting: &Counting,
    command: &Command,
    precondition: &Precondition,
    at: u64,
) -> (Session, Counting) {
    let arrival = Timestamp::from_ms(at);
    let judgement = judged(before, command, precondition, arrival);
    let mut counting = counting.clone();
    let counted = counting.judge(command, precondition, at);
    assert_eq!(judgement.verdict, counted, "{command:?} at {at}: {before:?}");
    counting.assert_same(&judgement.session);
    if judgement.verdict.is_err() || *command == Command::Settle {
        let settled = judged(before, &Command::Settle, &Precondition::default(), arrival);
        assert_eq!(judgement.session, settled.session, "{command:?} at {at} is refused and changes something");
        assert_eq!(judgement.events, settled.events, "{command:?} at {at} is refused and does something");
        assert!(settled.session.deadline().is_none_or(|deadline| deadline > arrival), "nothing is due once settled");
    }
    (judgement.session, counting)
}

/// At once, just before the deadline, at it, just after it, and long after it; without one, a little later.
fn waits(session: &Session, now: u64) -> Vec<u64> {
    let mut waits = match session.deadline().map(Timestamp::as_ms) {
        Some(deadline) => vec![now, now + 1, deadline - 1, deadline, deadline + 1, deadline + 17],
        None => vec![now, now + 1],
    };
    waits.retain(|&at| at >= now);
    waits.sort_unstable();
    waits.dedup();
    waits
}

fn commands(participants: usize) -> Vec<(Command, Precondition)> {
    let named = ["A", "B", "C", "X"].map(participant);
    let patch = |patch| Command::Patch(patch);
    let mut commands = vec![
        Command::Settle,
        Command::Start,
        Command::Pause,
        Command::Resume,
        Command::Switch { next: None, current: None },
        Command::Switch { next: Some(named[3]), current: None },
        Command::Switch { next: Some(named[0]), current: Some(named[3]) },
        Command::Complete,
        Command::Cancel,
        Command::Delete,
        patch(Patch::default()),
        patch(Patch { increment: Some(Millis::new(2)), max_time: Some(None), ..Patch::default() }),
        patch(Patch { time_per_cycle: Some(Some(Millis::new(2))), ..Patch::default() }),
        patch(Patch { max_time: Some(Some(Millis::new(4))), ..Patch::default() }),
    ];
    commands.extend(OnTimeout::ALL.map(|choice| patch(Patch { on_timeout: Some(choice), ..Patch::default() })));
    for &one in &named[..participants] {
        commands.push(Command::Switch { next: Some(one), current: None });
        commands.push(Command::Switch { next: None, current: Some(one) });
    }
    let mut judged: Vec<_> = commands.into_iter().map(|command| (command, Precondition::default())).collect();
    let stale = Precondition { version: Some(2), one_of: None };
    judged.push((Command::Switch { next: None, current: Some(named[0]) }, stale.clone()));
    judged.push((Command::Pause, stale));
    judged
}

/// What decides the rest of a session's life: all of it, seen from `now`, but for its version. Turns are
/// counted only, and how they add up shows on every way.
fn essence(session: &Session, now: u64) -> Vec<u64> {
    let ago = |at: Option<Timestamp>| at.map_or(u64::MAX, |at| now - at.as_ms());
    let setting = |time: Option<Millis>| time.map_or(u64::MAX, Millis::as_ms);
    let mut essence = vec![
        match session.status {
            Status::Pending => 0,
            Status::Running => 1,
            Status::Paused => 2,
            Status::Expired => 3,
            Status::Completed => 4,
            Status::Cancelled => 5,
        },
        match session.on_timeout {
            OnTimeout::Expire => 0,
            OnTimeout::Advance => 1,
            OnTimeout::Notify => 2,
        },
        // The stale precondition holds at version 2 only.
        u64::from(session.version == 1) + 2 * u64::from(session.version == 2),
        session.turn.map_or(u64::MAX, |turn| turn.participant as u64),
        ago(session.cycle_started_at()),
        setting(session.time_per_cycle),
        setting(session.max_time),
        session.increment.as_ms(),
    ];
    essence.extend(session.clocks.iter().map(|clock| clock.as_ms()));
    for one in &session.participants {
        essence.extend([one.used.as_ms(), u64::from(one.has_expired), ago(one.expired_at)]);
    }
    essence
}

fn one_participant(depth: usize) {
    for mode in ["per_participant increment=1", "per_cycle total=7", "per_group", "global total=3", "count_up max=3"] {
        walk(&format!("{mode} A=3"), depth);
    }
}

fn two_participants(depth: usize) {
    for mode in ["per_participant increment=1", "per_cycle total=11", "global total=3", "count_up max=3", "count_up"] {
        walk(&format!("{mode} A=2 B=3"), depth);
    }
}

fn three_participants(depth: usize) {
    for mode in ["per_participant", "per_cycle total=19 turn=2", "global total=2", "count_up max=2"] {
        walk(&format!("{mode} A=2#5 B=1#0 C=3#5"), depth);
    }
}

fn groups(depth: usize) {
    for members in ["A=2/g B=1/g C=2", "A=2/g B=1/h C=2/g h=3", "A=1 B=2", "A=2/g B=1/g g=2"] {
        walk(&format!("per_group increment=1 {members}"), depth);
    }
}

#[test]
fn short_ways_of_one_participant() {
    one_participant(3);
}

#[test]
fn short_ways_of_two_participants() {
    two_participants(3);
}

#[test]
fn short_ways_of_three_participants() {
    three_participants(3);
}

#[test]
fn short_ways_of_groups() {
    groups(3);
}

#[test]
#[ignore = "takes seconds; tests/run runs it"]
fn long_ways_of_one_participant() {
    one_participant(5);
}

#[test]
#[ignore = "takes seconds; tests/run runs it"]
fn long_ways_of_two_participants() {
    two_participants(4);
}

#[test]
#[ignore = "takes seconds; tests/run runs it"]
fn long_ways_of_three_participants() {
    three_participants(4);
}

#[test]
#[ignore = "takes seconds; tests/run runs it"]
fn long_ways_of_groups() {
    groups(4);
}
