//! What the record of a session's life says of each change.

use crate::engine::{
    ChangeKind, ChangeRecord, Command, Event, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId,
    Session, SessionId, Timestamp, Uuid, judge,
};

const A: ParticipantId = ParticipantId(Uuid::from_bits(1));
const B: ParticipantId = ParticipantId(Uuid::from_bits(2));

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn session(on_timeout: OnTimeout) -> Session {
    let participant = |id, index| NewParticipant { id, index, total_time: Millis::new(1_000), group: None };
    let new = NewSession {
        id: SessionId(Uuid::from_bits(9)),
        mode: Mode::PerParticipant,
        on_timeout,
        participants: vec![participant(A, 0), participant(B, 1)],
        groups: Vec::new(),
        total_time: Millis::new(2_000),
        time_per_cycle: None,
        increment: Millis::ZERO,
        max_time: None,
        warn_at: [].into(),
        metadata: None,
        controls: None,
    };
    new.create(1, at(0))
}

/// What an entry tells: its kind, whose clock, what it shows, how long the turn was, and turns so far.
type Told = (ChangeKind, Option<ParticipantId>, Option<u64>, Option<u64>, u64);

fn told(entry: &ChangeRecord) -> Told {
    let ms = |span: Option<Millis>| span.map(|span| span.as_ms());
    (entry.kind, entry.participant, ms(entry.time_remaining), ms(entry.time_elapsed), entry.cycles)
}

#[track_caller]
fn step(session: &mut Session, command: &Command, ms: u64, expected: Told) {
    let judgement = judge(session, command, &Default::default(), at(ms));
    let entry =
        ChangeRecord::of(Some(session), judgement.events, &judgement.session, at(ms)).expect("something happened");
    assert_eq!(told(&entry), expected, "{command:?}");
    *session = judgement.session;
}

const SWITCH: Command = Command::Switch { next: None, current: None };

#[test]
fn say_whose_clock_a_change_was_about() {
    let mut one = session(OnTimeout::Expire);
    let created = ChangeRecord::of(None, vec![Event::Created], &one, at(0)).expect("something happened");
    assert_eq!(told(&created), (ChangeKind::SessionCreated, None, None, None, 0));
    step(&mut one, &Command::Start, 100, (ChangeKind::SessionStarted, Some(A), Some(1_000), None, 0));
    step(&mut one, &SWITCH, 300, (ChangeKind::CycleSwitched, Some(A), Some(800), Some(200), 1));
    step(&mut one, &Command::Pause, 400, (ChangeKind::SessionPaused, Some(B), Some(900), Some(100), 1));
    step(&mut one, &Command::Resume, 500, (ChangeKind::SessionResumed, Some(B), Some(900), None, 1));
    let mut other = one.clone();
    step(&mut one, &Command::Complete, 600, (ChangeKind::SessionCompleted, Some(B), Some(800), Some(100), 1));
    step(&mut other, &Command::Pause, 2_000, (ChangeKind::SessionExpired, Some(B), Some(0), Some(900), 2));
}

#[test]
fn say_what_the_command_did_after_a_flag() {
    let mut one = session(OnTimeout::Advance);
    step(&mut one, &Command::Start, 0, (ChangeKind::SessionStarted, Some(A), Some(1_000), None, 0));
    let mut other = one.clone();
    step(&mut one, &Command::Settle, 1_500, (ChangeKind::ParticipantExpired, Some(A), Some(0), Some(1_000), 1));
    step(&mut other, &Command::Pause, 1_500, (ChangeKind::SessionPaused, Some(B), Some(500), Some(500), 1));
    assert!(ChangeRecord::of(Some(&one), Vec::new(), &one, at(1_600)).is_none(), "nothing happened");
}
