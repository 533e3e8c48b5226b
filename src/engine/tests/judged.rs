//! What holds of every judgement, whatever was judged: asserted at each step of each test.

use super::super::controls;
use super::super::{
    Command, Event, Judgement, Mode, OnTimeout, ParticipantId, Precondition, Session, Status, Timestamp, judge,
    violation, violation_between,
};

/// Judges, and asserts what holds of every judgement.
#[track_caller]
pub(super) fn judged(before: &Session, command: &Command, precondition: &Precondition, at: Timestamp) -> Judgement {
    let judgement = judge(before, command, precondition, at);
    let after = &judgement.session;
    assert_eq!(violation(after), None, "{command:?} at {at:?} makes {after:?}");
    assert_eq!(violation_between(before, after), None, "{command:?} at {at:?} makes {after:?} of {before:?}");
    if judgement.events.is_empty() {
        assert_eq!(after, before, "{command:?} changes what no event tells of");
    } else {
        assert_eq!((after.version, after.updated_at), (before.version + 1, at), "{command:?} is one change");
    }
    assert_eq!(after.created_at, before.created_at, "{command:?}");
    let starts = judgement.events.iter().any(|event| matches!(event, Event::Started { .. }));
    assert_eq!(after.started_at, if starts { Some(at) } else { before.started_at }, "{command:?}");
    assert_told(before, after, &judgement.events);
    judgement
}

/// Asserts that whoever knows `before` and hears of `events` knows whose turn it is, how many turns each
/// has had, and whether and when time ran out.
#[track_caller]
fn assert_told(before: &Session, after: &Session, events: &[Event]) {
    let mut turns: Vec<u64> = before.participants.iter().map(|one| one.cycles).collect();
    let mut active = before.active().map(|active| active.id);
    let mut expired_at = None;
    for (nth, event) in events.iter().enumerate() {
        assert_eq!(expired_at, None, "nothing follows the end: {events:?}");
        let place = |id: &ParticipantId| before.position(*id).expect("events name participants");
        match event {
            Event::Started { to } => active = Some(*to),
            Event::Switched { from, to } => {
                assert_eq!(active, Some(*from), "the turn of who had it ends: {events:?}");
                // To oneself, although it could be to somebody else, is no end of a turn.
                let others = || (0..after.participants.len()).filter(|other| after.participants[*other].id != *from);
                let is_out = |other: usize| after.participants[other].has_expired && !controls::renews(after, other);
                let is_alone = before.mode != Mode::PerCycle && others().all(is_out);
                if *to != Some(*from) || is_alone || others().count() == 0 {
                    turns[place(from)] += 1;
                }
                active = *to;
            }
            Event::ParticipantExpired { participant, .. } if before.on_timeout == OnTimeout::Notify => {
                assert_eq!(active, Some(*participant), "the turn of who had it flags: {events:?}");
            }
            Event::ParticipantExpired { participant, .. } => {
                assert!(nth > 0 || active == Some(*participant), "the turn of who had it flags: {events:?}");
                turns[place(participant)] += 1;
                // Who follows tells the next event, or else the state.
                active = events[nth + 1..].iter().find_map(turn_of).or(after.active().map(|active| active.id));
            }
            Event::RoundsExpired { rounds, .. } => {
                // Nobody goes out while rounds are alike.
                let is_in = |place: usize| after.participants[place].cycles > turns[place];
                let staying: Vec<_> = (0..turns.len()).filter(|place| is_in(*place)).collect();
                staying.into_iter().for_each(|place| turns[place] += rounds);
            }
            Event::SessionExpired { at } => (active, expired_at) = (None, Some(*at)),
            Event::Completed | Event::Cancelled => active = None,
            Event::Created | Event::Paused | Event::Resumed | Event::Updated | Event::ParticipantRevived { .. } => {}
            Event::Deleted | Event::Recovered => panic!("no command makes {event:?}"),
        }
    }
    assert_eq!(active, after.active().map(|active| active.id), "whose turn it is: {events:?}");
    assert_eq!(turns, after.participants.iter().map(|one| one.cycles).collect::<Vec<_>>(), "turns: {events:?}");
    let expires = before.status != Status::Expired && after.status == Status::Expired;
    assert_eq!(expired_at, after.completed_at.filter(|_| expires), "when time ran out: {events:?}");
}

/// Whose turn it was until the event.
fn turn_of(event: &Event) -> Option<ParticipantId> {
    match event {
        Event::Switched { from, .. } => Some(*from),
        Event::ParticipantExpired { participant, .. } => Some(*participant),
        Event::Created
        | Event::Started { .. }
        | Event::Paused
        | Event::Resumed
        | Event::RoundsExpired { .. }
        | Event::ParticipantRevived { .. }
        | Event::SessionExpired { .. }
        | Event::Completed
        | Event::Cancelled
        | Event::Updated
        | Event::Deleted
        | Event::Recovered => None,
    }
}
