//! What is wrong with a session of foreign origin is found, and what is at its bound is not wrong.

use std::sync::Arc;

use super::super::{
    Command, Group, GroupId, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Precondition, Session,
    SessionId, Status, Timestamp, Uuid, defect, judge, violation, violation_between,
};

const NOW: Timestamp = Timestamp::from_ms(1_769_860_800_000);
/// The largest whole number that every JSON reader keeps.
const MOST: u64 = (1 << 53) - 1;
const YEAR_9999: Timestamp = Timestamp::from_ms(253_402_300_799_999);

/// A session of two that runs.
fn running(mode: Mode) -> Session {
    let participant = |n: u64| NewParticipant {
        id: ParticipantId(Uuid::from_bits(n.into())),
        index: n,
        total_time: Millis::new(60_000),
        group: Some(GroupId(Uuid::from_bits(9))),
    };
    let new = NewSession {
        id: SessionId(Uuid::from_bits(7)),
        mode,
        participants: vec![participant(1), participant(2)],
        groups: Vec::new(),
        total_time: Millis::new(120_000),
        time_per_cycle: None,
        increment: Millis::new(500),
        max_time: None,
        on_timeout: OnTimeout::Advance,
        warn_at: [Millis::new(1_000)].into(),
        metadata: None,
        controls: None,
    };
    judge(&new.create(NOW.as_ms(), NOW), &Command::Start, &Precondition::default(), NOW).session
}

/// What is wrong with a running session after `change`.
fn found(mode: Mode, change: impl FnOnce(&mut Session)) -> Option<&'static str> {
    let mut session = running(mode);
    change(&mut session);
    defect(&session)
}

#[test]
fn what_was_made_here_has_none() {
    for mode in Mode::ALL {
        assert_eq!(found(mode, |_| {}), None, "{mode:?}");
    }
}

#[test]
fn numbers_are_bounded() {
    let group = |ms| Arc::from([Group { id: GroupId(Uuid::from_bits(9)), total_time: Millis::new(ms), clock: 0 }]);
    // In a mode without a sum that these are part of, so that nothing but the bound is in question.
    let changes: [(&str, Mode, fn(&mut Session, u64)); 9] = [
        ("version", Mode::CountUp, |session, number| session.version = number),
        ("epoch", Mode::CountUp, |session, number| session.epoch = number),
        ("unattended_turns", Mode::CountUp, |session, number| session.unattended_turns = number),
        ("total_time", Mode::CountUp, |session, number| session.total_time = Millis::new(number)),
        ("time_per_cycle", Mode::CountUp, |session, number| session.time_per_cycle = Some(Millis::new(number))),
        ("increment", Mode::CountUp, |session, number| session.increment = Millis::new(number)),
        ("used", Mode::CountUp, |session, number| session.participants[1].used = Millis::new(number)),
        ("cycles", Mode::CountUp, |session, number| session.participants[1].cycles = number),
        ("index", Mode::CountUp, |session, number| session.participants[1].index = number),
    ];
    for (name, mode, change) in changes {
        assert_eq!(found(mode, |session| change(session, MOST)), None, "{name}");
        assert_eq!(found(mode, |session| change(session, MOST + 1)), Some("every number is below 2^53"), "{name}");
    }
    for (number, expected) in [(MOST, None), (MOST + 1, Some("every number is below 2^53"))] {
        let warned = found(Mode::CountUp, |session| session.warn_at = [Millis::new(number)].into());
        assert_eq!(warned, expected, "a threshold");
        let grouped = found(Mode::CountUp, |session| session.groups = group(number));
        assert_eq!(grouped.is_some(), expected.is_some(), "a group's time");
        let counted = found(Mode::CountUp, |session| {
            session.max_time = Some(Millis::new(number));
            session.clocks = vec![Millis::new(number); 2];
        });
        assert_eq!(counted, expected, "max_time");
        let begun = found(Mode::CountUp, |session| {
            session.participants[1].initial_time = Millis::new(number);
            session.clocks[1] = Millis::new(number);
        });
        assert_eq!(begun, expected, "initial_time");
    }
    assert_eq!(found(Mode::PerParticipant, |session| session.clocks[1] = Millis::new(MOST)), None);
    assert_eq!(
        found(Mode::PerParticipant, |session| session.clocks[1] = Millis::new(MOST + 1)),
        Some("every clock is below 2^53 ms")
    );
}

#[test]
fn instants_are_bounded() {
    let late = Some("no instant lies beyond the year 9999");
    let after = YEAR_9999 + Millis::new(1);
    for (at, expected) in [(YEAR_9999, None), (after, late)] {
        assert_eq!(found(Mode::Global, |session| session.updated_at = at), expected, "updated_at");
        assert_eq!(found(Mode::Global, |session| session.started_at = Some(at)), expected, "started_at");
        let created = found(Mode::Global, |session| (session.created_at, session.updated_at) = (at, at));
        assert_eq!(created, expected, "created_at");
        let since = found(Mode::Global, |session| {
            session.updated_at = YEAR_9999;
            session.turn = session.turn.map(|turn| super::super::Turn { since: Some(at), ..turn });
        });
        assert_eq!(since, expected, "since");
        let ended = found(Mode::Global, |session| {
            (session.status, session.turn, session.completed_at) = (Status::Completed, None, Some(at));
        });
        assert_eq!(ended, expected, "completed_at");
    }
}

#[test]
fn a_session_is_no_larger_than_one_that_was_asked_for() {
    let with = |count: usize| {
        found(Mode::Global, |session| {
            let one = session.participants[1].clone();
            let another =
                |n: usize| super::super::Participant { id: ParticipantId(Uuid::from_bits(n as u128)), ..one.clone() };
            session.participants = (0..count).map(another).collect();
        })
    };
    assert_eq!(with(1_000), None);
    assert_eq!(with(1_001), Some("a session has no more than 1000 participants"));
}

#[test]
fn a_turn_has_time_and_a_participant_a_name_of_its_own() {
    let none = Some("a turn has time");
    assert_eq!(found(Mode::PerCycle, |session| session.time_per_cycle = Some(Millis::ZERO)), none);
    assert_eq!(found(Mode::PerCycle, |session| session.participants[1].initial_time = Millis::ZERO), none);
    let full = |session: &mut Session| {
        session.time_per_cycle = Some(Millis::new(1));
        session.participants[1].initial_time = Millis::ZERO;
    };
    assert_eq!(found(Mode::PerCycle, full), None);
    assert_eq!(found(Mode::Global, |session| session.participants[1].initial_time = Millis::ZERO), None);
    let same = found(Mode::Global, |session| session.participants[1].id = session.participants[0].id);
    assert_eq!(same, Some("no two participants have the same name"));
}

/// Turns that went on by themselves are counted, however many there were.
#[test]
fn what_is_sound_goes_on_at_its_bounds() {
    let mut session = running(Mode::PerCycle);
    session.unattended_turns = MOST;
    assert_eq!(defect(&session), None);
    let at = NOW + Millis::new(60_000);
    assert_eq!(judge(&session, &Command::Settle, &Precondition::default(), at).session.unattended_turns, MOST + 1);
}

#[test]
fn each_rule_of_a_session_is_looked_at() {
    let broken: [(&str, fn(&mut Session)); 11] = [
        ("versions start at 1", |session| session.version = 0),
        ("a session has a participant", |session| {
            (session.participants, session.turn) = (Vec::new(), None);
            session.status = Status::Pending;
        }),
        ("somebody is active in running and paused only", |session| session.status = Status::Pending),
        ("a turn runs in running only", |session| session.status = Status::Paused),
        ("an ended session has an end, no other has", |session| session.completed_at = Some(NOW)),
        ("what runs was started", |session| session.started_at = None),
        ("every participant has a clock", |session| session.participants[1].clock = 2),
        ("who has an instant of expiry has expired", |session| session.participants[1].expired_at = Some(NOW)),
        ("no instant lies after the last change", |session| session.created_at = NOW + Millis::new(1)),
        ("a clock that flagged stands at zero", |session| session.participants[0].has_expired = true),
        ("time is conserved", |session| session.clocks[1] = Millis::new(59_999)),
    ];
    for (rule, change) in broken {
        let mut session = running(Mode::PerParticipant);
        change(&mut session);
        assert_eq!(violation(&session), Some(rule));
    }
    let late = |session: &mut Session| {
        session.turn = session.turn.map(|turn| super::super::Turn { since: Some(NOW + Millis::new(1)), ..turn });
    };
    assert_eq!(found(Mode::PerParticipant, late), Some("no instant lies after the last change"));
    let paused = |session: &mut Session| {
        session.status = Status::Paused;
        session.turn = session.turn.map(|turn| super::super::Turn { since: None, ..turn });
        session.unattended_turns = 1;
    };
    assert_eq!(found(Mode::PerParticipant, paused), Some("only what runs goes on by itself"));
    let one_of_two = |session: &mut Session| {
        session.clocks[0] = Millis::ZERO;
        session.participants[0].has_expired = true;
    };
    assert_eq!(found(Mode::Global, one_of_two), Some("who shares a clock expires together"));
    assert_eq!(found(Mode::PerGroup, one_of_two), Some("who shares a clock expires together"));
}

#[test]
fn time_is_conserved_in_each_mode() {
    let lost = Some("time is conserved");
    assert_eq!(found(Mode::Global, |session| session.clocks[0] = Millis::new(119_999)), lost);
    assert_eq!(found(Mode::Global, |session| session.clocks[0] = Millis::new(120_001)), lost);
    let used = |session: &mut Session| {
        session.clocks[0] = Millis::new(119_000);
        session.participants[1].used = Millis::new(1_000);
    };
    assert_eq!(found(Mode::Global, used), None);
    assert_eq!(found(Mode::PerGroup, |session| session.clocks[0] = Millis::new(119_999)), lost);
    assert_eq!(found(Mode::PerGroup, used), None);
    assert_eq!(found(Mode::PerGroup, |session| session.clocks[0] = Millis::new(120_001)), None);
    assert_eq!(found(Mode::CountUp, |session| session.clocks[1] = Millis::new(60_001)), lost);
    let limited = |session: &mut Session, left: u64| {
        session.max_time = Some(Millis::new(100_000));
        session.clocks = vec![Millis::new(100_000), Millis::new(left)];
        session.participants[1].used = Millis::new(1_000);
    };
    assert_eq!(found(Mode::CountUp, |session| limited(session, 99_000)), None);
    assert_eq!(found(Mode::CountUp, |session| limited(session, 99_001)), lost);
    let between = |session: &mut Session, left: u64| {
        session.turn = None;
        session.status = Status::Completed;
        session.completed_at = Some(NOW);
        session.clocks[0] = Millis::new(left);
    };
    assert_eq!(found(Mode::PerCycle, |session| between(session, 0)), None);
    assert_eq!(found(Mode::PerCycle, |session| between(session, 1)), lost);
}

#[test]
fn each_rule_of_a_change_is_looked_at() {
    let before = Session { version: 5, ..running(Mode::PerParticipant) };
    let changes: [(Option<&str>, fn(&mut Session)); 9] = [
        (None, |_| {}),
        (Some("a change makes the next version"), |session| session.version += 1),
        (Some("a session keeps its name and epoch"), |session| session.epoch += 1),
        (Some("a session keeps its name and epoch"), |session| session.id = SessionId(Uuid::from_bits(8))),
        (Some("time does not run backwards"), |session| session.updated_at = session.updated_at.before(Millis::new(1))),
        (Some("nobody joins or leaves"), |session| drop(session.participants.pop())),
        (Some("time used only grows"), |session| session.participants[1].used = Millis::new(4)),
        (Some("turns only grow"), |session| session.participants[1].cycles = 2),
        (Some("who is out stays out"), |session| session.participants[1].has_expired = false),
    ];
    for (rule, change) in changes {
        let mut before = before.clone();
        (before.participants[1].used, before.participants[1].cycles) = (Millis::new(5), 3);
        before.participants[1].has_expired = true;
        let mut after = Session { version: 6, ..before.clone() };
        change(&mut after);
        assert_eq!(violation_between(&before, &after), rule);
        // The same is no change.
        assert_eq!(violation_between(&before, &before), None);
    }
    let ended = Session { status: Status::Completed, ..before.clone() };
    let again = Session { version: 6, status: Status::Running, ..ended.clone() };
    assert_eq!(violation_between(&ended, &again), Some("an end is final"));
    for mode in [Mode::PerCycle, Mode::CountUp] {
        let mut before = Session { mode, ..before.clone() };
        before.participants[1].has_expired = true;
        let mut after = Session { version: 6, ..before.clone() };
        after.participants[1].has_expired = false;
        assert_eq!(violation_between(&before, &after), None, "{mode:?}: who was out may come back");
    }
}
