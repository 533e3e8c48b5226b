//! A state becomes the bytes that clients get, and is read back from them.

mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synckairos::wire;

use support::{BEGIN, SIZES, new_session, started};

fn state(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state");
    for size in SIZES {
        let session = started(&new_session(1, size));
        let state = wire::encode(&session, BEGIN).state();
        group.throughput(Throughput::Bytes(state.len() as u64));
        group.bench_function(BenchmarkId::new("encode", size), |bencher| {
            bencher.iter(|| wire::encode(black_box(&session), BEGIN));
        });
        group.bench_function(BenchmarkId::new("decode", size), |bencher| {
            bencher.iter(|| wire::decode(black_box(&state)).expect("it was encoded"));
        });
    }
}

criterion_group!(benches, state);
criterion_main!(benches);
