//! What holds of any session, whatever happened to it.

use proptest::prelude::*;

use super::super::{Command, Event, Judgement, Millis, Mode, OnTimeout, Precondition, Session, Status, Timestamp};
use super::counting::Counting;
use super::generated::{CREATED, Step, controlled_stories, stories, waits};
use super::judged::judged;

fn settled(session: &Session, at: Timestamp) -> Judgement {
    judged(session, &Command::Settle, &Precondition::default(), at)
}

/// A session but for how often it changed and when last.
fn essence(session: &Session) -> Session {
    Session { version: 0, updated_at: CREATED, ..session.clone() }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(400))]

    /// Milliseconds counted one by one come to the same as what is calculated.
    #[test]
    fn calculates_what_counting_counts(story in stories(1..=12, 40)) {
        let mut counting = Counting::new(&story.new);
        story.play(|step| {
            let verdict = counting.judge(step.command, &Precondition::default(), step.at.since(CREATED).as_ms());
            assert_eq!(step.judgement.verdict, verdict, "{:?}", step.command);
            counting.assert_same(&since_creation(&step.judgement.session));
        });
    }
}

proptest! {
    // PROPTEST_CASES asks for more.
    #![proptest_config(config(ProptestConfig::default().cases.max(400)))]

    /// The same under time controls, whose clocks tick.
    #[test]
    fn calculates_what_ticking_clocks_count(story in controlled_stories(40)) {
        let mut counting = Counting::new(&story.new);
        story.play(|step| {
            let verdict = counting.judge(step.command, &Precondition::default(), step.at.since(CREATED).as_ms());
            assert_eq!(step.judgement.verdict, verdict, "{:?}", step.command);
            counting.assert_same(&since_creation(&step.judgement.session));
        });
    }
}

/// The session as if it had been created at 0, where counting begins.
pub(super) fn since_creation(session: &Session) -> Session {
    let moved = |at: Timestamp| Timestamp::from_ms(at.as_ms() - CREATED.as_ms());
    let mut session = session.clone();
    session.completed_at = session.completed_at.map(moved);
    if let Some(turn) = &mut session.turn {
        turn.since = turn.since.map(moved);
    }
    for one in &mut session.participants {
        one.expired_at = one.expired_at.map(moved);
    }
    session
}

proptest! {
    #![proptest_config(config(200))]

    /// Whoever looks in between changes nothing but the version.
    #[test]
    fn settling_twice_is_settling_once(
        story in stories(1_000..=60_000, 12), first in waits(60_000), second in waits(60_000),
    ) {
        let (session, now) = story.end();
        let between = first.end(&session, now);
        let twice = settled(&session, between).session;
        let at = second.end(&twice, between);
        prop_assert_eq!(essence(&settled(&twice, at).session), essence(&settled(&session, at).session));
    }

    /// Whole rounds computed at once leave behind what one flag after the other does.
    #[test]
    fn rounds_at_once_are_flags_one_by_one(story in stories(1_000..=9_000, 6), wait in 0..600_000_u64) {
        let (session, now) = story.end();
        let at = now + Millis::new(wait);
        let mut naive = session.clone();
        while let Some(deadline) = naive.deadline().filter(|&deadline| deadline <= at) {
            let one = settled(&naive, deadline);
            let flags = one.events.iter().filter(|event| matches!(event, Event::ParticipantExpired { .. })).count();
            let rounds = one.events.iter().filter(|event| matches!(event, Event::RoundsExpired { .. })).count();
            prop_assert_eq!((flags, rounds), (1, 0));
            naive = one.session;
        }
        let judgement = settled(&session, at);
        prop_assert_eq!(essence(&judgement.session), essence(&naive));
        // The turn in progress, the rounds, a whole one and a broken one told turn by turn, and the end.
        prop_assert!(judgement.events.len() <= 2 * session.participants.len() + 3, "{:?}", judgement.events);
    }

    /// A flag stands at its deadline, however late somebody notices.
    #[test]
    fn a_flag_is_at_its_deadline(story in stories(1_000..=60_000, 12), late in 0..100_000_u64) {
        let (session, _) = story.end();
        let Some(deadline) = session.deadline() else { return Ok(()) };
        let active = session.active().expect("a deadline is somebody's").id;
        let judgement = settled(&session, deadline + Millis::new(late));
        let flag = Event::ParticipantExpired { participant: active, at: deadline };
        prop_assert_eq!(judgement.events.first(), Some(&flag));
        let noticed_at_once = settled(&session, deadline);
        if judgement.events == noticed_at_once.events {
            prop_assert_eq!(essence(&judgement.session), essence(&noticed_at_once.session));
        }
    }

    /// The deadline is the first instant at which time alone changes anything.
    #[test]
    fn nothing_happens_before_the_deadline(story in stories(1_000..=60_000, 12)) {
        let (session, now) = story.end();
        match session.deadline() {
            Some(deadline) if deadline > now => {
                prop_assert_eq!(settled(&session, Timestamp::from_ms(deadline.as_ms() - 1)).events, vec![]);
                prop_assert_ne!(settled(&session, deadline).events, vec![]);
            }
            Some(deadline) => prop_assert_ne!(settled(&session, deadline.max(now)).events, vec![]),
            None => prop_assert_eq!(settled(&session, now + Millis::new(86_400_000)).events, vec![]),
        }
    }

    /// What all have used together is how long a clock ran.
    #[test]
    fn time_used_is_time_run(story in stories(1_000..=60_000, 20)) {
        let mut ran = Millis::ZERO;
        story.play(|step| {
            ran += ran_until(&step).since(step.since);
            let after = &step.judgement.session;
            let running = match (after.active(), after.cycle_started_at()) {
                (Some(active), Some(since)) if !active.has_expired => step.at.since(since),
                _ => Millis::ZERO,
            };
            let used: Millis = after.participants.iter().map(|one| one.used).sum();
            assert_eq!(used + running, ran, "{:?} makes {after:?}", step.command);
        });
    }

    /// A clock together with what was used of it grows by increments only.
    #[test]
    fn time_is_created_by_increments_only(story in stories(1_000..=60_000, 20)) {
        let session = story.new.create(0, CREATED);
        let mut held = held(&session);
        story.play(|step| {
            if let Some(clock) = rewarded(&step) {
                held[clock] += step.before.increment;
            }
            let after = &step.judgement.session;
            match after.mode {
                Mode::PerParticipant | Mode::PerGroup | Mode::Global => assert_eq!(self::held(after), held),
                // Nothing is kept from turn to turn, and nothing goes beyond the maximum.
                Mode::PerCycle | Mode::CountUp => assert_no_more_than_allowed(after),
            }
        });
    }

    /// A switch and nothing else concerns the one whose turn it ends, and where a new turn forgets that an old one
    /// flagged, the one whose turn it begins: the record of all others stays as it is.
    #[test]
    fn a_switch_concerns_nobody_else(story in stories(1_000..=60_000, 40)) {
        story.play(|step| {
            let &[Event::Switched { from, to }] = &step.judgement.events[..] else { return };
            let after = &step.judgement.session;
            for (old, new) in step.before.participants.iter().zip(&after.participants).filter(|(old, new)| old != new) {
                let begins_anew = after.mode == Mode::PerCycle && to == Some(new.id);
                assert!(new.id == from || begins_anew, "{old:?} became {new:?}");
            }
            assert_eq!(after.active().map(|active| active.id), to);
        });
    }

    /// Where flags advance, no session of turns outlasts its time.
    #[test]
    fn turns_together_end_with_the_session(mut story in stories(1_000..=9_000, 12)) {
        (story.new.mode, story.new.on_timeout) = (Mode::PerCycle, OnTimeout::Advance);
        story.steps.retain(|(_, command)| !matches!(command, Command::Patch(_)));
        let (session, now) = story.end();
        let ended = settled(&session, now + session.total_time).session;
        let used: Millis = ended.participants.iter().map(|one| one.used).sum();
        match session.status {
            Status::Running | Status::Expired => {
                prop_assert_eq!((ended.status, used), (Status::Expired, session.total_time));
            }
            Status::Pending | Status::Paused | Status::Completed | Status::Cancelled => {
                prop_assert!(used <= session.total_time);
            }
        }
    }
}

/// Until when a clock ran of the time before a step.
fn ran_until(step: &Step<'_>) -> Timestamp {
    match (step.before.status, step.before.active()) {
        (Status::Running, Some(active)) if !active.has_expired => match step.before.on_timeout {
            OnTimeout::Notify => step.before.deadline().unwrap_or(step.at).min(step.at),
            OnTimeout::Expire | OnTimeout::Advance => step.judgement.session.completed_at.unwrap_or(step.at),
        },
        _ => step.since,
    }
}

/// The clock that a step gave an increment.
fn rewarded(step: &Step<'_>) -> Option<usize> {
    let clock = |id| step.before.position(id).map(|place| step.before.participants[place].clock);
    let switched = |event: &Event| if let Event::Switched { from, to } = event { Some((*from, (*to)?)) } else { None };
    let (from, to) = step.judgement.events.iter().find_map(switched)?;
    let place = step.before.position(from)?;
    let in_time = !step.judgement.session.participants[place].has_expired;
    let after = &step.judgement.session;
    let others = || after.participants.iter().filter(|other| other.id != from);
    let earns = match step.before.mode {
        Mode::PerParticipant => from != to || others().all(|other| other.has_expired),
        Mode::PerGroup => clock(from) != clock(to),
        Mode::PerCycle | Mode::Global | Mode::CountUp => false,
    };
    (in_time && earns).then(|| clock(from)).flatten()
}

/// What each clock has, and all that was used of it.
fn held(session: &Session) -> Vec<Millis> {
    let used = |clock: usize| session.participants.iter().filter(move |one| one.clock == clock).map(|one| one.used);
    session.clocks.iter().enumerate().map(|(clock, &left)| used(clock).chain([left]).sum()).collect()
}

fn assert_no_more_than_allowed(session: &Session) {
    for (place, one) in session.participants.iter().enumerate() {
        let shown = session.shown_time(place);
        match session.mode {
            Mode::PerCycle if session.active().is_some_and(|active| active.id == one.id) => {}
            Mode::PerCycle => assert_eq!(shown, session.time_per_cycle.unwrap_or(one.initial_time)),
            Mode::CountUp => assert_eq!(shown, session.max_time.map_or(one.initial_time, |max| max - one.used)),
            Mode::PerParticipant | Mode::PerGroup | Mode::Global => {}
        }
    }
}
