//! What time alone has done: nothing, one flag, and the worst that can have come due since anybody looked.

mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use synckairos::engine::{Command, Millis, Mode, NewSession, OnTimeout, Precondition, judge};

use support::{BEGIN, SIZES, new_session, started};

fn settle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("settle");
    for size in SIZES {
        let plain = new_session(1, size);
        // Every participant flags, one after the other.
        let advancing = NewSession { on_timeout: OnTimeout::Advance, ..new_session(1, size) };
        // The same in turns that all last as long: one round, which is not skipped.
        let round = NewSession { mode: Mode::PerCycle, ..advancing.clone() };
        // Each is a group.
        let groups = NewSession { mode: Mode::PerGroup, ..advancing.clone() };
        // A turn a second, round and round, for as long as the session may last.
        let rounds = NewSession { mode: Mode::PerCycle, time_per_cycle: Some(Millis::new(1_000)), ..advancing.clone() };
        for (name, new, elapsed_ms) in [
            ("nothing", &plain, 1_500),
            ("one_flag", &plain, 3_600_000),
            ("all_flag", &advancing, 3_600_000 * size),
            ("round_flags", &round, 3_600_000 * size),
            ("groups_flag", &groups, 3_600_000 * size),
            ("rounds", &rounds, 3_600_000 * size),
        ] {
            let session = started(new);
            let at = BEGIN + Millis::new(elapsed_ms);
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| judge(black_box(&session), &Command::Settle, &Precondition::default(), at));
            });
        }
    }
}

criterion_group!(benches, settle);
criterion_main!(benches);
