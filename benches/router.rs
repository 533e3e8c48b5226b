//! A path becomes a resource and an id.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use synckairos::http::Resource;

fn router(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("router");
    for (name, path) in [
        ("session", "/v1/sessions/550e8400-e29b-41d4-a716-446655440000"),
        ("switch", "/v1/sessions/550e8400-e29b-41d4-a716-446655440000/switch"),
        ("time", "/v1/time"),
        ("unknown", "/v1/sessions/550e8400-e29b-41d4-a716-446655440000/unknown"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| Resource::at(black_box(path))));
    }
}

criterion_group!(benches, router);
criterion_main!(benches);
