//! Time controls by their laws, and against clocks that tick.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::{BoundaryKind, ClockPhase, Control, Millis, Penalty, Segments, StageSystem, System};
use super::ticking::Ticking;

/// What happens to one clock.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its turn goes on for so long.
    Run(u64),
    /// Its turn goes on until so long before the flag, or after it.
    RunTo(i64),
    /// Its turn is completed.
    Complete,
}

fn ms(time: u64) -> Millis {
    Millis::new(time)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..40_u64).prop_map(Step::Run),
        2 => (-3..4_i64).prop_map(Step::RunTo),
        4 => Just(Step::Complete),
    ];
    vec(step, 1..60)
}

/// Systems of few milliseconds, which may stand in any stage.
fn early() -> impl Strategy<Value = System> {
    let time = || (1..30_u64).prop_map(ms);
    let some = || (0..12_u64).prop_map(ms);
    prop_oneof![
        time().prop_map(|base| System::Absolute { base }),
        (time(), some(), option::of(20..60_u64), any::<bool>()).prop_map(|(base, increment, cap, from_start)| {
            System::Fischer { base, increment, cap: cap.map(ms), from_start }
        }),
        (time(), some()).prop_map(|(base, delay)| System::Delay { base, delay }),
        (time(), some(), any::<bool>()).prop_map(|(base, delay, flags_at_main)| System::Bronstein {
            base,
            delay,
            flags_at_main
        }),
        (time(), time(), some(), option::of(20..60_u64)).prop_map(|(move_time, bank, increment, cap)| {
            System::Bank { move_time, bank, increment, cap: cap.map(ms) }
        }),
    ]
}

fn late() -> impl Strategy<Value = System> {
    let time = || (1..30_u64).prop_map(ms);
    let some = || (0..12_u64).prop_map(ms);
    let penalty = (1..9_u64, 0..5_u64).prop_map(|(per, points)| Penalty { per: ms(per), points });
    prop_oneof![
        2 => early(),
        1 => time().prop_map(|move_time| System::PerMove { move_time }),
        3 => (some(), time(), 1..6_u64, some())
            .prop_map(|(base, period, periods, increment)| System::Byoyomi { base, period, periods, increment }),
        2 => (some(), time(), 1..6_u64).prop_map(|(base, period, moves)| System::Canadian { base, period, moves }),
        2 => (time(), option::of(time()), option::of(penalty), some()).prop_map(
            |(base, overtime, penalty, increment)| System::Overtime { base, overtime, penalty, increment },
        ),
        1 => (time(), some()).prop_map(|(base, delay)| System::Hourglass { base, delay }),
    ]
}

pub(super) fn controls() -> impl Strategy<Value = Control> {
    let no_moves = |system: &System| !matches!(system, System::Hourglass { .. });
    let stages = (vec((option::of(1..5_u64), early()), 1..4), late().prop_filter("no stages", no_moves));
    let staged = stages.prop_map(|(early, last)| {
        let mut given: Vec<_> = early.into_iter().map(|(moves, system)| StageSystem { moves, system }).collect();
        given.push(StageSystem { moves: None, system: last });
        Control::staged(given.into(), false)
    });
    let repeated = vec((1..5_u64, early()), 1..4).prop_map(|stages| {
        let given = stages.into_iter().map(|(moves, system)| StageSystem { moves: Some(moves), system });
        Control::staged(given.collect(), true)
    });
    prop_oneof![3 => late().prop_map(Control::of), 2 => staged, 1 => repeated]
}

/// Plays `steps` on a clock of the engine and shows it after each, until it flags.
fn play(control: &Control, steps: &[Step], mut seen: impl FnMut(&Segments, Millis, Option<Millis>)) {
    let (mut clock, mut used) = (Segments::new(control), Millis::ZERO);
    for step in steps {
        let budget = clock.budget(control);
        let elapsed = match (*step, budget) {
            (Step::Run(length), _) => ms(length),
            (Step::RunTo(from), Some(budget)) => ms(budget.as_ms().saturating_add_signed(from)),
            (Step::RunTo(_), None) => ms(100),
            (Step::Complete, _) => {
                if !clock.is_flagged(control) {
                    clock.complete(control, used);
                    used = Millis::ZERO;
                }
                seen(&clock, used, None);
                continue;
            }
        };
        clock.fold(control, elapsed);
        used += budget.map_or(elapsed, |budget| elapsed.min(budget));
        seen(&clock, used, Some(elapsed));
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1_500))]

    /// Clocks that tick come to the same, at every step.
    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn a_clock_that_ticks_is_the_same(control in controls(), steps in steps()) {
        let mut ticking = Ticking::new(&control);
        assert_eq!(Segments::new(&control), ticking.segments());
        play(&control, &steps, |clock, _, elapsed| {
            match elapsed {
                Some(elapsed) => (0..elapsed.as_ms()).for_each(|_| { ticking.tick(); }),
                None if ticking.is_flagged() => {}
                None => ticking.complete(),
            }
            assert_eq!(*clock, ticking.segments(), "{control:?}");
            assert_eq!(clock.is_flagged(&control), ticking.is_flagged(), "{control:?}");
        });
    }

    /// The budget is the sum of the segments: exactly there is the flag, and nothing is left.
    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn a_budget_ends_in_a_flag(control in controls(), steps in steps()) {
        play(&control, &steps, |clock, _, _| {
            let Some(budget) = clock.budget(&control).filter(|budget| !budget.is_zero()) else { return };
            let (mut before, mut at) = (*clock, *clock);
            before.fold(&control, budget - ms(1));
            at.fold(&control, budget);
            assert_eq!(before.budget(&control), Some(ms(1)), "{clock:?}");
            assert_eq!(at.budget(&control), Some(ms(0)), "{clock:?}");
            assert_eq!((at.free, at.main, at.period, at.periods), (ms(0), ms(0), ms(0), 0));
            let mut beyond = *clock;
            beyond.fold(&control, budget + ms(7));
            assert_eq!(beyond, at, "nothing is used beyond the flag");
        });
    }

    /// Two stretches are one of both, and a budget falls by exactly what was used: a pause gives nothing back.
    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn stretches_add_up(control in controls(), steps in steps(), first in 0..80_u64, second in 0..80_u64) {
        play(&control, &steps, |clock, _, _| {
            let (mut twice, mut once) = (*clock, *clock);
            let charged = twice.fold(&control, ms(first)) + twice.fold(&control, ms(second));
            assert_eq!(charged, once.fold(&control, ms(first + second)));
            assert_eq!(twice, once);
            if let Some(budget) = clock.budget(&control) {
                assert_eq!(once.budget(&control), Some(budget - ms(first + second)));
            }
        });
    }

    /// What one glass loses the other gains.
    #[test]
    fn an_hourglass_keeps_its_sand(base in 1..60_u64, delay in 0..9_u64, turns in vec(0..80_u64, 1..40)) {
        let control = Control::of(System::Hourglass { base: ms(base), delay: ms(delay) });
        let mut clocks = [Segments::new(&control); 2];
        for (nth, elapsed) in turns.into_iter().enumerate() {
            let (active, other) = (nth % 2, (nth + 1) % 2);
            let budget = clocks[active].budget(&control).unwrap_or_default();
            if ms(elapsed) >= budget {
                break;
            }
            let charged = clocks[active].fold(&control, ms(elapsed));
            clocks[other].main += charged;
            clocks[active].complete(&control, ms(elapsed));
            assert_eq!(clocks[0].main + clocks[1].main, ms(2 * base));
        }
    }

    /// Without anything that gives time, what is left and what was used come to the same, in and below zero.
    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn time_is_neither_made_nor_lost(base in 1..60_u64, below in option::of(0..60_u64), steps in steps()) {
        let control = match below {
            Some(below) => System::Overtime { base: ms(base), overtime: Some(ms(below)), penalty: None, increment: ms(0) },
            None => System::Absolute { base: ms(base) },
        };
        let control = Control::of(control);
        let (mut total, mut turn) = (0, 0);
        play(&control, &steps, |clock, used, elapsed| {
            (total, turn) = match elapsed {
                Some(_) => (total, used.as_ms()),
                None if clock.is_flagged(&control) => (total, turn),
                None => (total + turn, 0),
            };
            assert_eq!(clock.balance_ms() + i64::try_from(total + turn).expect("small"), i64::try_from(base).expect("small"));
        });
    }

    /// Everything that runs out does so where the segments say, and a display shows it from there on.
    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn boundaries_are_where_segments_end(control in controls(), steps in steps()) {
        play(&control, &steps, |clock, _, _| {
            let boundaries = clock.boundaries(&control);
            assert!(boundaries.windows(2).all(|pair| pair[0].after <= pair[1].after), "{boundaries:?}");
            assert_eq!(boundaries.last().filter(|last| last.kind == BoundaryKind::Flag).map(|last| last.after),
                clock.budget(&control));
            for boundary in boundaries {
                let mut then = *clock;
                then.fold(&control, boundary.after);
                match boundary.kind {
                    BoundaryKind::FreeOver => assert_eq!(then.free, ms(0)),
                    BoundaryKind::MainOver => assert_eq!((then.free, then.main), (ms(0), ms(0))),
                    BoundaryKind::StageOver => assert!(then.stage > clock.stage),
                    BoundaryKind::PeriodLost { periods } => assert_eq!(then.periods, periods),
                    BoundaryKind::Flag => {
                        assert_eq!(clock.view(&control, boundary.after).phase, ClockPhase::Flagged);
                    }
                }
            }
        });
    }
}

/// Penalties count every part that was begun.
#[test]
fn a_penalty_counts_parts_begun() {
    let penalty = Penalty { per: ms(60_000), points: 10 };
    let points = [0, 1, 60_000, 60_001, 61_000, 599_999].map(|over| penalty.of(ms(over)));
    assert_eq!(points, [0, 10, 10, 20, 20, 100]);
}

/// However many periods a turn loses.
#[test]
fn lost_periods_are_computed_at_once() {
    let system = System::Byoyomi { base: ms(0), period: ms(30_000), periods: 100, increment: ms(0) };
    let control = Control::of(system);
    let mut clock = Segments::new(&control);
    clock.fold(&control, ms(2_999_999));
    assert_eq!((clock.periods, clock.period), (1, ms(1)));
    clock.fold(&control, ms(1));
    assert!(clock.is_flagged(&control));
}
