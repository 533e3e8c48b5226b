//! A command is judged: the session before, copied, settled and changed.

mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use synckairos::engine::{Command, Millis, Precondition, judge};

use support::{BEGIN, SIZES, SWITCH, new_session, started};

fn transition(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transition");
    let at = BEGIN + Millis::new(1_500);
    for size in SIZES {
        let session = started(&new_session(1, size));
        for (name, command) in [("switch", SWITCH), ("pause", Command::Pause), ("refused", Command::Start)] {
            group.bench_with_input(BenchmarkId::new(name, size), &command, |bencher, command| {
                bencher.iter(|| judge(black_box(&session), command, &Precondition::default(), at));
            });
        }
    }
}

criterion_group!(benches, transition);
criterion_main!(benches);
