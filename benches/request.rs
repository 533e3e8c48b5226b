//! A body is read and held against the contract.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synckairos::wire::{self, FieldProblems, Object};

/// Participants: of a game, and of the largest session that there may be.
const SIZES: [u64; 2] = [2, 1_000];

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for size in SIZES {
        let body = creation(size, 3_600_000);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("create", size), |bencher| {
            bencher.iter(|| read(black_box(&body), wire::create).expect("nothing is wrong with it"));
        });
        // Every participant has too little time.
        let body = creation(size, 0);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("create_refused", size), |bencher| {
            bencher.iter(|| read(black_box(&body), wire::create).expect_err("something is wrong with it"));
        });
    }
    let switch =
        r#"{"next_participant_id":"11111111-1111-4111-8111-111111111111","expected_version":17,"from":"the button"}"#;
    for (name, body) in [("switch_empty", ""), ("switch", switch)] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| read(black_box(body), wire::switch).expect("nothing is wrong with it"));
        });
    }
    let patch = r#"{"increment_ms":2000,"warn_at_ms":[60000,10000],"metadata":{"round":2,"table":null}}"#;
    group.throughput(Throughput::Bytes(patch.len() as u64));
    group.bench_function("patch", |bencher| {
        bencher.iter(|| read(black_box(patch), wire::patch).expect("nothing is wrong with it"));
    });
}

fn read<T>(body: &str, look: impl FnOnce(&Object<'_>, &mut FieldProblems) -> Option<T>) -> Result<T, FieldProblems> {
    let mut problems = FieldProblems::new();
    let object = Object::parse(body.as_bytes(), &mut problems).expect("it is JSON");
    look(&object, &mut problems).ok_or(problems)
}

fn creation(participants: u64, time_ms: u64) -> String {
    let mut body = String::from(
        r#"{"session_id":"550e8400-e29b-41d4-a716-446655440000","sync_mode":"per_participant","total_time_ms":7200000,"participants":["#,
    );
    for n in 0..participants {
        let comma = if n > 0 { "," } else { "" };
        write!(
            body,
            r#"{comma}{{"participant_id":"11111111-1111-4111-8111-{n:012x}","participant_index":{n},"total_time_ms":{time_ms}}}"#
        )
        .expect("writing to memory does not fail");
    }
    body + "]}"
}

criterion_group!(benches, request);
criterion_main!(benches);
