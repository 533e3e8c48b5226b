//! Sessions and what happens to them, made up at random. Waits aim at deadlines as often as they are
//! blind, since that is where the rules meet. Knows no rule.

use std::ops::RangeInclusive;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::{
    Command, Control, ControlRules, GroupId, Judgement, Millis, Mode, NewControls, NewParticipant, NewSession,
    OnTimeout, ParticipantId, Patch, Precondition, Segments, Session, SessionId, System, Timestamp, Uuid,
};
use super::controls::controls;
use super::judged::judged;

/// When every generated session is created.
pub(super) const CREATED: Timestamp = Timestamp::from_ms(1_000_000);

/// A session, and commands with the waits before them.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) new: NewSession,
    pub(super) steps: Vec<(Wait, Command)>,
}

/// How long until a command arrives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// So many milliseconds.
    For(u64),
    /// Until so many milliseconds before the deadline, or at it; no time when there is none.
    Before(u64),
    /// Until so many milliseconds after the deadline; no time when there is none.
    After(u64),
}

/// One step of a story that was played.
pub(super) struct Step<'a> {
    pub(super) before: &'a Session,
    pub(super) command: &'a Command,
    /// When the command before this one arrived.
    pub(super) since: Timestamp,
    pub(super) at: Timestamp,
    pub(super) judgement: &'a Judgement,
}

impl Wait {
    /// The arrival of a command that is sent to `session` after `now`.
    pub(super) fn end(self, session: &Session, now: Timestamp) -> Timestamp {
        let deadline = session.deadline().unwrap_or(now);
        let end = match self {
            Wait::For(ms) => now + Millis::new(ms),
            Wait::Before(ms) => Timestamp::from_ms(deadline.as_ms().saturating_sub(ms)),
            Wait::After(ms) => deadline + Millis::new(ms),
        };
        end.max(now)
    }
}

impl Story {
    /// Plays all steps, shows each, and gives back where it ends.
    pub(super) fn play(&self, mut seen: impl FnMut(Step<'_>)) -> (Session, Timestamp) {
        let mut session = self.new.create(CREATED.as_ms(), CREATED);
        let mut now = CREATED;
        for (wait, command) in &self.steps {
            let at = wait.end(&session, now);
            let judgement = judged(&session, command, &Precondition::default(), at);
            seen(Step { before: &session, command, since: now, at, judgement: &judgement });
            (session, now) = (judgement.session, at);
        }
        (session, now)
    }

    /// Where it ends.
    pub(super) fn end(&self) -> (Session, Timestamp) {
        self.play(|_| {})
    }
}

/// Stories of at most `steps` commands about clocks of `times` ms, which waits and settings fit.
pub(super) fn stories(times: RangeInclusive<u64>, steps: usize) -> impl Strategy<Value = Story> {
    let commands = vec((waits(*times.end()), commands(times.clone())), 0..=steps);
    (sessions(times), commands).prop_map(|(new, mut steps)| {
        // Little happens before a start.
        steps.insert(0, (Wait::For(1), Command::Start));
        Story { new, steps }
    })
}

/// Stories about clocks under time controls.
pub(super) fn controlled_stories(steps: usize) -> impl Strategy<Value = Story> {
    let commands = vec((waits(40), commands(1..=40)), 0..=steps);
    (sessions(1..=40), controls(), vec((controls(), 0..30_u64), 6), any::<bool>(), commands).prop_map(
        |(mut new, control, own, is_own, mut steps)| {
            steps.insert(0, (Wait::For(1), Command::Start));
            let glass = System::Hourglass { base: ms(40), delay: ms(2) };
            let is_glass = |control: &Control| matches!(control.given()[0].system, System::Hourglass { .. });
            let mut control = control;
            match new.mode {
                Mode::CountUp => new.mode = Mode::PerParticipant,
                Mode::PerCycle => control = Control::of(System::PerMove { move_time: new.total_time }),
                Mode::Global => control = Control::of(System::Absolute { base: new.total_time }),
                Mode::PerParticipant | Mode::PerGroup => {}
            }
            if is_glass(&control) {
                new.mode = Mode::PerParticipant;
                control = Control::of(glass);
                let template = new.participants[0].clone();
                new.participants = (0..2_u64)
                    .map(|place| NewParticipant { id: participant(place.into()), index: place, ..template.clone() })
                    .collect();
            }
            let (mut all, mut by_participant, mut clocks) = (Vec::new(), Vec::new(), Vec::new());
            for (place, (given, more)) in (0..new.participants.len()).zip(own) {
                let may_differ = new.mode == Mode::PerParticipant && is_own && !is_glass(&control) && !is_glass(&given);
                let control = if may_differ { given } else { control.clone() };
                let mut clock = Segments::new(&control);
                if new.mode == Mode::PerParticipant && !control.renews() {
                    clock.main += ms(more);
                }
                clocks.push(clock);
                by_participant.push(place);
                all.push(control);
            }
            if new.on_timeout == OnTimeout::Advance
                && (new.mode == Mode::Global || all.iter().any(Control::cannot_advance))
            {
                new.on_timeout = OnTimeout::Notify;
            }
            (new.increment, new.time_per_cycle, new.max_time, new.groups) = (ms(0), None, None, Vec::new());
            let total_time = Some(new.total_time.times(4)).filter(|_| new.mode != Mode::Global);
            let rules = Arc::new(ControlRules::new(all, by_participant).expect("everybody has one"));
            new.controls = Some(Box::new(NewControls { rules, clocks, total_time }));
            Story { new, steps }
        },
    )
}

/// Waits of up to a few times `time`, from none.
pub(super) fn waits(time: u64) -> impl Strategy<Value = Wait> {
    prop_oneof![
        Just(Wait::For(0)),
        (0..=time).prop_map(Wait::For),
        (0..=8 * time).prop_map(Wait::For),
        (0..=2_u64).prop_map(Wait::Before),
        (0..=time).prop_map(Wait::Before),
        (0..=2_u64).prop_map(Wait::After),
        (0..=3 * time).prop_map(Wait::After),
    ]
}

fn sessions(times: RangeInclusive<u64>) -> impl Strategy<Value = NewSession> {
    let group = || (0..3_u128).prop_map(|group| GroupId(Uuid::from_bits(100 + group)));
    let participants = vec((times.clone(), 0..4_u64, option::of(group())), 1..=6);
    let groups = vec(times.clone(), 0..=3);
    let total = *times.start()..=6 * times.end();
    let limits = (total, option::of(times.clone()), option::of(times.clone()), 0..=*times.end() / 4);
    (any_mode(), any_on_timeout(), participants, groups, limits).prop_map(
        |(mode, on_timeout, participants, groups, (total_time, time_per_cycle, max_time, increment))| NewSession {
            id: SessionId(Uuid::from_bits(1)),
            mode,
            participants: (0..)
                .zip(participants)
                .map(|(place, (time, index, group))| NewParticipant {
                    id: participant(place),
                    index,
                    total_time: Millis::new(time),
                    group,
                })
                .collect(),
            groups: (0..).zip(groups).map(|(group, time)| (GroupId(Uuid::from_bits(100 + group)), ms(time))).collect(),
            total_time: ms(total_time),
            time_per_cycle: time_per_cycle.map(ms),
            increment: ms(increment),
            max_time: max_time.map(ms),
            on_timeout,
            warn_at: Arc::new([]),
            metadata: None,
            controls: None,
        },
    )
}

fn commands(times: RangeInclusive<u64>) -> impl Strategy<Value = Command> {
    // One more than there can be, so that some names are nobody's.
    let somebody = || option::weighted(0.3, (0..7_u128).prop_map(participant));
    let patch = prop_oneof![
        times.clone().prop_map(|time| Patch { increment: Some(ms(time)), ..Patch::default() }),
        option::of(times.clone()).prop_map(|time| Patch { time_per_cycle: Some(time.map(ms)), ..Patch::default() }),
        option::of(times.start() * 2..=times.end() * 2)
            .prop_map(|time| Patch { max_time: Some(time.map(ms)), ..Patch::default() }),
        any_on_timeout().prop_map(|choice| Patch { on_timeout: Some(choice), ..Patch::default() }),
    ];
    prop_oneof![
        10 => (somebody(), somebody()).prop_map(|(next, current)| Command::Switch { next, current }),
        8 => Just(Command::Switch { next: None, current: None }),
        2 => Just(Command::Settle),
        1 => Just(Command::Start),
        3 => Just(Command::Pause),
        5 => Just(Command::Resume),
        1 => prop_oneof![Just(Command::Complete), Just(Command::Cancel), Just(Command::Delete)],
        2 => patch.prop_map(Command::Patch),
    ]
}

fn any_mode() -> impl Strategy<Value = Mode> {
    proptest::sample::select(&Mode::ALL[..])
}

fn any_on_timeout() -> impl Strategy<Value = OnTimeout> {
    proptest::sample::select(&OnTimeout::ALL[..])
}

fn participant(place: u128) -> ParticipantId {
    ParticipantId(Uuid::from_bits(place))
}

fn ms(time: u64) -> Millis {
    Millis::new(time)
}
