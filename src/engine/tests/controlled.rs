//! Sessions with time controls beside others: the same where they mean the same, whole rounds as one by one, a mutant that
//! is caught.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::super::{
    Command, Control, ControlRules, Event, Millis, Mode, NewControls, NewParticipant, NewSession, OnTimeout,
    ParticipantId, Precondition, Segments, Session, System, Timestamp, Uuid,
};
use super::counting::Counting;
use super::described::new_session;
use super::generated::{CREATED, Story, controlled_stories, stories};
use super::judged::judged;
use super::properties::since_creation;
use super::ticking::Mutant;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The time control that means what the plain settings of a session say, if there is one.
fn controlled(new: &NewSession) -> Option<NewSession> {
    let fischer = |base| System::Fischer { base, increment: new.increment, cap: None, from_start: false };
    let plain = new.create(0, CREATED);
    let (mut controls, mut clocks) = (Vec::new(), Vec::new());
    for one in &plain.participants {
        let control = Control::of(match new.mode {
            Mode::PerParticipant | Mode::PerGroup => fischer(plain.clocks[one.clock]),
            Mode::PerCycle => System::PerMove { move_time: new.time_per_cycle.unwrap_or(one.initial_time) },
            Mode::Global => System::Absolute { base: new.total_time },
            Mode::CountUp => return None,
        });
        clocks.push(Segments::new(&control));
        controls.push(control);
    }
    let rules = Arc::new(ControlRules::new(controls, (0..clocks.len()).collect())?);
    let controls = Some(Box::new(NewControls { rules, clocks, total_time: Some(new.total_time) }));
    Some(NewSession { increment: Millis::ZERO, time_per_cycle: None, max_time: None, controls, ..new.clone() })
}

/// A session but for what says how much time there is at the beginning and after a turn.
fn without_control(session: &Session) -> Session {
    let mut session = session.clone();
    (session.controls, session.increment, session.time_per_cycle, session.max_time) = (None, Millis::ZERO, None, None);
    session.participants.iter_mut().for_each(|one| one.initial_time = Millis::ZERO);
    session
}

proptest! {
    #![proptest_config(config(400))]

    /// The plain modes are time controls: the same story comes to the same.
    #[test]
    fn plain_modes_are_time_controls(mut story in stories(1..=12, 40)) {
        story.steps.retain(|(_, command)| match command {
            Command::Patch(patch) => patch.clock_setting().is_none() && story.new.mode != Mode::Global,
            Command::Settle | Command::Start | Command::Pause | Command::Resume | Command::Switch { .. }
            | Command::Complete | Command::Cancel | Command::Delete => true,
        });
        let Some(new) = controlled(&story.new) else { return Ok(()) };
        let mut session = new.create(CREATED.as_ms(), CREATED);
        story.play(|step| {
            let same = judged(&session, step.command, &Precondition::default(), step.at);
            assert_eq!((&same.events, same.verdict), (&step.judgement.events, step.judgement.verdict));
            assert_eq!(without_control(&same.session), without_control(&step.judgement.session));
            assert_eq!(same.session.deadline(), step.judgement.session.deadline());
            for place in 0..session.participants.len() {
                let shown = step.judgement.session.shown_time(place);
                // A full turn of the plain one may be its participant's own.
                assert_eq!(same.session.shown_time(place), shown, "{place}");
            }
            assert_eq!(same.session.warnings(), step.judgement.session.warnings());
            session = same.session;
        });
    }

    /// Whole rounds computed at once leave behind what one flag after the other does.
    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn rounds_under_controls_are_flags_one_by_one(story in controlled_stories(6), wait in 0..4_000_u64) {
        let (session, now) = story.end();
        let at = now + Millis::new(wait);
        let mut naive = session.clone();
        while let Some(deadline) = naive.deadline().filter(|&deadline| deadline <= at) {
            naive = judged(&naive, &Command::Settle, &Precondition::default(), deadline).session;
        }
        let judgement = judged(&session, &Command::Settle, &Precondition::default(), at);
        let essence = |session: &Session| Session { version: 0, updated_at: CREATED, ..session.clone() };
        prop_assert_eq!(essence(&judgement.session), essence(&naive));
    }
}

/// Sessions with the largest numbers settle at once, whoever comes late.
#[test]
fn turns_with_time_of_their_own_are_not_replayed() {
    let control = Control::of(System::Bank {
        move_time: Millis::new(1),
        bank: Millis::new(1_000),
        increment: Millis::ZERO,
        cap: None,
    });
    let mut story = Story { new: new_session("advance A=1000"), steps: Vec::new() };
    let template = story.new.participants[0].clone();
    story.new.participants = (0..1_000_u64)
        .map(|place| NewParticipant {
            id: ParticipantId(Uuid::from_bits(place.into())),
            index: place,
            ..template.clone()
        })
        .collect();
    let clocks = vec![Segments::new(&control); 1_000];
    let rules = Arc::new(ControlRules::new(vec![control], vec![0; 1_000]).expect("it is known"));
    let total_time = Some(Millis::new(31_536_000_000));
    story.new.controls = Some(Box::new(NewControls { rules, clocks, total_time }));
    story.new.on_timeout = OnTimeout::Advance;
    let session = story.new.create(0, CREATED);
    let session = judged(&session, &Command::Start, &Precondition::default(), CREATED).session;
    let end = CREATED + Millis::new(31_536_000_000);
    let almost = Timestamp::from_ms(end.as_ms() - 1);
    let judgement = judged(&session, &Command::Settle, &Precondition::default(), almost);
    let rounds = judgement.events.iter().filter(|event| matches!(event, Event::RoundsExpired { .. })).count();
    assert!((1..10).contains(&rounds), "{rounds}");
    assert!(judgement.events.len() < 5_000, "each bank once, and one round: {}", judgement.events.len());
    let ended = judged(&judgement.session, &Command::Settle, &Precondition::default(), end).session;
    assert_eq!(ended.completed_at, Some(end), "the session's time bounds all turns");
}

/// Models that are wrong in one thing are told from the engine.
#[test]
fn a_mutated_model_is_caught() {
    let mut runner = TestRunner::deterministic();
    let stories = controlled_stories(30);
    for mutant in [Mutant::EarnsMore, Mutant::IsFreeForGood, Mutant::CountsNoBlocks, Mutant::LosesLess] {
        let is_caught = (0..3_000).any(|_| {
            let story = stories.new_tree(&mut runner).expect("there is one").current();
            let mut counting = Counting::new(&story.new);
            counting.mutate(mutant);
            let played = std::panic::AssertUnwindSafe(|| {
                story.play(|step| {
                    let at = step.at.since(CREATED).as_ms();
                    let verdict = counting.judge(step.command, &Precondition::default(), at);
                    assert_eq!(verdict, step.judgement.verdict);
                    counting.assert_same(&since_creation(&step.judgement.session));
                });
            });
            std::panic::catch_unwind(played).is_err()
        });
        assert!(is_caught, "{mutant:?}");
    }
}
