//! The largest sessions, left alone for a day: what a look at them costs is bounded by their
//! participants, not by the turns that passed. Results are worked out by arithmetic of their own.

use super::super::{Command, Event, Millis, Precondition, Session, Status, Timestamp};
use super::described::new_session;
use super::judged::judged;

const DAY: u64 = 86_400_000;

/// A thousand participants whose times are 1000 to 1999 ms, started at 0.
fn thousand(description: &str) -> Session {
    let mut new = new_session(&format!("{description} A=1000"));
    let one = new.participants.remove(0);
    new.participants.extend((0..1000).map(|place| {
        let mut one = one.clone();
        (one.id.0, one.index) = (super::super::Uuid::from_bits(place.into()), place);
        one.total_time = Millis::new(1000 + place);
        one
    }));
    let session = new.create(0, Timestamp::from_ms(0));
    judged(&session, &Command::Start, &Precondition::default(), Timestamp::from_ms(0)).session
}

fn left_alone(session: &Session, until: u64) -> (Session, Vec<Event>) {
    let judgement = judged(session, &Command::Settle, &Precondition::default(), Timestamp::from_ms(until));
    assert_eq!(judgement.session.version, session.version + 1, "one change");
    (judgement.session, judgement.events)
}

/// Compares with what everybody has used when turns simply follow each other until `until`.
fn assert_used(session: &Session, until: u64) {
    let turns: Vec<u64> = session.participants.iter().map(|one| one.initial_time.as_ms()).collect();
    let round: u64 = turns.iter().sum();
    let mut rest = until % round;
    for (one, turn) in session.participants.iter().zip(turns) {
        let begun = rest.min(turn);
        rest -= begun;
        let running = session.active().is_some_and(|active| active.id == one.id);
        let counted = if running { 0 } else { begun };
        assert_eq!(one.used.as_ms(), until / round * turn + counted, "{}", one.id);
        assert_eq!(one.cycles, until / round + u64::from(counted > 0), "{}", one.id);
    }
}

#[test]
fn turns_that_nobody_took_are_not_replayed() {
    let session = thousand(&format!("per_cycle advance total={DAY}"));
    let (halfway, events) = left_alone(&session, DAY / 2);
    assert!(events.len() <= 2003, "{} events", events.len());
    assert_eq!(halfway.status, Status::Running);
    assert_used(&halfway, DAY / 2);

    for before in [&session, &halfway] {
        let (ended, events) = left_alone(before, 30 * DAY);
        assert!(events.len() <= 2003, "{} events", events.len());
        assert_eq!((ended.status, ended.completed_at), (Status::Expired, Some(Timestamp::from_ms(DAY))));
        assert_used(&ended, DAY);
    }
}

#[test]
fn clocks_that_nobody_stopped_flag_once_each() {
    for mode in ["per_participant", "per_group", "count_up max=1500"] {
        let session = thousand(&format!("{mode} advance"));
        let (ended, events) = left_alone(&session, DAY);
        let all: u64 = session.participants.iter().map(|one| session.clocks[one.clock].as_ms()).sum();
        assert_eq!(events.len(), 1001, "{mode}");
        assert_eq!((ended.status, ended.completed_at), (Status::Expired, Some(Timestamp::from_ms(all))), "{mode}");
        assert!(ended.participants.iter().all(|one| one.has_expired && one.cycles == 1), "{mode}");
    }
}

#[test]
fn who_is_not_waited_for_is_woken_a_hundred_times() {
    let new = new_session("per_cycle advance total=86400000 A=1000 B=1000");
    let at = Timestamp::from_ms;
    let mut session = new.create(0, at(0));
    session = judged(&session, &Command::Start, &Precondition::default(), at(0)).session;
    let mut woken = 0;
    while let Some(wake_at) = session.wake_at() {
        session = judged(&session, &Command::Settle, &Precondition::default(), wake_at).session;
        woken += 1;
    }
    assert_eq!(woken, 100);
    assert_eq!(session.deadline(), Some(at(101_000)), "what follows is known");
    // Whoever asks is shown what followed, as one change, and that is not somebody who does something.
    let (session, _) = left_alone(&session, 3_600_000);
    assert_eq!((session.deadline(), session.wake_at()), (Some(at(3_601_000)), None));
    let pause = judged(&session, &Command::Pause, &Precondition::default(), at(3_600_500)).session;
    let resumed = judged(&pause, &Command::Resume, &Precondition::default(), at(3_600_500)).session;
    assert_eq!((resumed.wake_at(), resumed.unattended_turns), (Some(at(3_601_000)), 0));
    // Who is refused did nothing.
    let refused = judged(&session, &Command::Start, &Precondition::default(), at(3_600_500)).session;
    assert_eq!(refused.wake_at(), None);
}
