//! A session and what is asked of it, one command after the other, at instants that an input chooses: the engine's rules hold
//! after each, looking in between changes nothing, and every state, record and audit job is read back as it was written.

use bytes::Bytes;
use synckairos::engine::{
    ChangeRecord, Command, Event, GroupId, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Patch,
    Precondition, Session, SessionId, Timestamp, Uuid, defect, judge, violation, violation_between,
};
use synckairos::store::{Countdown, Record};
use synckairos::wire::{self, RecordBody, RecordHeader};

use crate::choices::Choices;
use crate::create::NOW;

/// Commands of one session at most.
const COMMANDS_MAX: usize = 40;
const PARTICIPANTS_MAX: usize = 8;

/// Plays a story.
pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let new = new_session(&mut choices);
    let mut session = new.create(NOW.as_ms(), NOW);
    assert_eq!(violation(&session), None, "{new:?}");
    assert_eq!(defect(&session), None, "{new:?}");
    let created = ChangeRecord::of(None, vec![Event::Created], &session, NOW).expect("something happened");
    written(&session, &created);
    let mut now = NOW;
    for _ in 0..COMMANDS_MAX {
        if choices.is_over() {
            break;
        }
        now = later(&mut choices, &session, now);
        let (command, precondition) = command(&mut choices, &session);
        let before = session;
        let judgement = judge(&before, &command, &precondition, now);
        session = judgement.session;
        let told = || format!("{command:?} of {before:?}");
        assert_eq!(violation(&session), None, "{}", told());
        assert_eq!(violation_between(&before, &session), None, "{}", told());
        assert_eq!(defect(&session), None, "{}", told());
        looked_at_between(&before, now);
        if judgement.events.is_empty() {
            assert_eq!(before, session, "{}", told());
        } else {
            let entry = ChangeRecord::of(Some(&before), judgement.events, &session, now).expect("something happened");
            written(&session, &entry);
        }
    }
}

fn uuid(kind: u128, n: usize) -> Uuid {
    Uuid::from_bits(kind << 80 | 0x4000_8000 << 48 | n as u128)
}

fn new_session(choices: &mut Choices<'_>) -> NewSession {
    let count = 1 + choices.below(PARTICIPANTS_MAX);
    let participant = |choices: &mut Choices<'_>, n| NewParticipant {
        id: ParticipantId(uuid(1, n)),
        index: choices.number() >> 11,
        total_time: length(choices),
        group: choices.is().then(|| GroupId(uuid(2, choices.below(3)))),
    };
    let mode = choices.one_of(&Mode::ALL);
    let participants: Vec<_> = (0..count).map(|n| participant(choices, n)).collect();
    let mut groups: Vec<_> = participants.iter().filter_map(|one| one.group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|_| choices.is());
    NewSession {
        id: SessionId(uuid(3, 0)),
        mode,
        participants,
        groups: groups.into_iter().map(|group| (group, length(choices))).collect(),
        total_time: length(choices),
        time_per_cycle: choices.is().then(|| length(choices)),
        increment: Millis::new(choices.number() % 60_001),
        max_time: choices.is().then(|| length(choices)),
        on_timeout: choices.one_of(&OnTimeout::ALL),
        warn_at: (0..choices.below(9)).map(|_| Millis::new(1 + choices.number() % 86_400_000)).collect(),
        metadata: choices.is().then(|| r#"{"a":"],\"state\":","warn_at_ms":[1],"b":{"timestamp":1}}"#.into()),
        controls: None,
    }
}

/// As long as a request may say.
fn length(choices: &mut Choices<'_>) -> Millis {
    Millis::new(1_000 + choices.number() % 86_399_001)
}

fn later(choices: &mut Choices<'_>, session: &Session, now: Timestamp) -> Timestamp {
    let deadline = session.deadline().unwrap_or(now).max(now);
    match choices.below(6) {
        0 => now,
        1 => deadline,
        2 => deadline.before(Millis::new(1)).max(now),
        3 => deadline + Millis::new(1),
        4 => now + Millis::new(choices.number() % 100_000),
        _ => now + Millis::new(choices.number() % 100_000_000_000),
    }
}

fn command(choices: &mut Choices<'_>, session: &Session) -> (Command, Precondition) {
    let who =
        |choices: &mut Choices<'_>| choices.is().then(|| ParticipantId(uuid(1, choices.below(PARTICIPANTS_MAX + 1))));
    let command = match choices.below(12) {
        0 => Command::Settle,
        1 | 2 => Command::Start,
        3 => Command::Pause,
        4 => Command::Resume,
        5 if choices.below(8) == 0 => Command::Complete,
        6 if choices.below(8) == 0 => Command::Cancel,
        7 => Command::Delete,
        8 => Command::Patch(Patch {
            metadata: choices.is().then(|| choices.is().then(|| "{}".into())),
            increment: choices.is().then(|| Millis::new(choices.number() % 60_001)),
            time_per_cycle: choices.is().then(|| choices.is().then(|| length(choices))),
            max_time: choices.is().then(|| choices.is().then(|| length(choices))),
            on_timeout: choices.is().then(|| choices.one_of(&OnTimeout::ALL)),
            warn_at: choices.is().then(|| [length(choices)].into()),
        }),
        _ => Command::Switch { next: who(choices), current: who(choices) },
    };
    let version = (choices.below(4) == 0).then(|| session.version.saturating_sub(choices.below(2) as u64));
    let one_of = (choices.below(8) == 0).then(|| vec![session.tag()]);
    (command, Precondition { one_of, version })
}

/// Whoever looks at a session between two commands changes nothing but how often it changed.
fn looked_at_between(before: &Session, at: Timestamp) {
    let settled = |session: &Session, at| judge(session, &Command::Settle, &Precondition::default(), at).session;
    let half = before.updated_at + Millis::new(at.since(before.updated_at).as_ms() / 2);
    let essence = |session: Session| Session { version: 0, updated_at: NOW, ..session };
    let once = settled(before, at);
    assert_eq!(essence(settled(&settled(before, half), at)), essence(once.clone()), "{before:?}");
    // A later clock that shows another time leaves what there is to use as it was.
    let moved = once.rebased(at, at + Millis::new(5)).rebased(at + Millis::new(5), at);
    assert_eq!(moved, once, "{before:?}");
}

/// Each form of a state is read as it was written.
fn written(session: &Session, entry: &ChangeRecord) {
    let encoded = wire::encode(session, entry.at);
    let (state, body) = (encoded.state(), encoded.body());
    assert_eq!(wire::decode_sound(&state).as_ref(), Ok(session));
    assert_eq!(wire::decode_archived(&state).as_ref(), Ok(session));
    assert_eq!(wire::decode_frame(&encoded.frame()).as_ref(), Ok(session));
    assert_eq!(wire::lifetime_basis(&state), Some((session.status, session.deadline())));
    assert_eq!(wire::changed_at(&encoded.frame()), Some(session.updated_at));
    assert_eq!(
        wire::has_warnings(&state),
        !session.warn_at.is_empty() || session.metadata.as_deref().is_some_and(|text| text.contains("warn_at_ms"))
    );
    let _ = Countdown::of(session);

    let event = uuid(4, 0);
    let mut header = RecordHeader {
        deadline: session.deadline(),
        changed_us: entry.at.as_ms() * 1_000,
        run_id: "a1".into(),
        base: session.tag(),
        ..RecordHeader::default()
    };
    header.events.push(event);
    let mut value = Vec::new();
    wire::begin(2, &mut value);
    wire::encode_header(&mut value, &header);
    body.write_members(&mut value);
    let value = wire::modern(Bytes::from(value));
    assert_eq!(wire::read_header(&value), Ok(header));
    assert_eq!(wire::peek(&value), Ok((session.deadline(), RecordBody::State(session.tag(), body.clone()))));
    assert_eq!(wire::check_record(&value, session.id), Ok(()));
    assert_eq!(Record::read(session.clone()).encoded().state(), state);

    let mut job = Vec::new();
    wire::encode_job(&mut job, event, session.id, session.tag(), entry, None, &body);
    let name = wire::read_job_header(&job).expect("it is a job");
    assert_eq!((name.event, name.session, name.tag, name.at), (event, session.id, session.tag(), entry.at));
    let row = wire::audit_row(&job).expect("it is a job");
    assert_eq!(
        (row.change.name, row.change.state.as_bytes(), row.change.happened),
        (name, &state[..], entry.events.len())
    );
    assert_eq!((row.state.deadline, row.state.metadata), (session.deadline(), session.metadata.as_deref()));
    let summary = wire::read_job(&job).expect("it is a job");
    assert_eq!((summary.at, summary.state), (entry.at, &state[..]));
}
