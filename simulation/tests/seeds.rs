//! Seeds: each is a run of instances, clients and faults of its own, and all checks hold of it. `SEEDS` says how many,
//! `FIRST_SEED` where they begin, and `SEED` which one alone; one that fails is shrunk, and printed with the command that
//! repeats it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulation::dice::Dice;
use simulation::world::checks::Violation;
use simulation::world::plan::Plan;
use simulation::world::shrink;

/// How many seeds are tried unless somebody says so.
const SEEDS: u64 = 300;
/// What a run needs of a stack, in bytes: without optimization futures that contain others take a lot.
const STACK_LEN: usize = 64 << 20;
/// Failing seeds that are shrunk, at most.
const SHRUNK_MAX: usize = 3;

fn number(name: &str) -> Option<u64> {
    let given = std::env::var(name).ok()?;
    Some(given.parse().unwrap_or_else(|_| panic!("{name} is a number, not {given:?}")))
}

fn plan(seed: u64) -> Plan {
    Plan::new(&mut Dice::new(seed).split())
}

/// Runs something where a run has room.
fn on_a_large_stack<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_LEN).spawn_scoped(scope, run);
        thread.expect("there are threads").join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What does not hold of a seed; a panic does not.
fn failure(seed: u64) -> Vec<Violation> {
    let run = std::panic::AssertUnwindSafe(|| shrink::failure(seed, &plan(seed)));
    std::panic::catch_unwind(run)
        .unwrap_or_else(|_| vec![Violation { check: "nothing_panics", found: "the log says where".to_owned() }])
}

#[test]
fn all_checks_hold_of_every_seed() {
    let one = number("SEED");
    let first = one.or_else(|| number("FIRST_SEED")).unwrap_or_default();
    let count = if one.is_some() { 1 } else { number("SEEDS").unwrap_or(SEEDS) };
    let (next, failed) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let ends_at_first = std::env::var_os("FIRST_FAILURE").is_some();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let tried = std::thread::Builder::new().stack_size(STACK_LEN).spawn_scoped(scope, || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let violations = failure(seed);
                    if !violations.is_empty() {
                        if ends_at_first {
                            next.store(first + count, Ordering::Relaxed);
                        }
                        failed.lock().expect("nobody panics").push((seed, violations));
                    }
                }
            });
            tried.expect("there are threads");
        }
    });
    let mut failed = failed.into_inner().expect("nobody panics");
    failed.sort_by_key(|(seed, _)| *seed);
    if let (true, Some((seed, violations))) = (ends_at_first, failed.first()) {
        println!("first failure: {} {}", violations[0].check, seed + 1 - first);
        panic!("{:?}", violations[0]);
    }
    for (seed, violations) in &failed {
        println!("seed {seed}: {:?}", violations.iter().map(|violation| violation.check).collect::<BTreeSet<_>>());
    }
    for (seed, _) in failed.iter().take(SHRUNK_MAX) {
        let (smallest, violations) = on_a_large_stack(|| shrink::shrink(*seed, plan(*seed)));
        println!("\nseed {seed}, shrunk: {smallest:#?}");
        for violation in violations {
            println!("  {}: {}", violation.check, violation.found);
        }
        if one.is_some() {
            on_a_large_stack(|| tell(*seed, &smallest));
        }
        println!("repeat it: SEED={seed} cargo test -p simulation --test seeds -- --nocapture");
    }
    assert!(failed.is_empty(), "{} of {count} seeds from {first} failed", failed.len());
}

/// What the server logs in a run: RUST_LOG says how much.
fn tell(seed: u64, plan: &Plan) {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time().with_test_writer();
    tracing::subscriber::with_default(log.finish(), || shrink::failure(seed, plan));
}

#[test]
fn a_seed_repeats_its_run() {
    on_a_large_stack(|| {
        for seed in 0..20 {
            let story =
                |outcome: simulation::world::run::Outcome| format!("{:?} {:?}", outcome.history, outcome.writes);
            let [one, other] = [(), ()].map(|()| story(simulation::world::run::run(seed, plan(seed))));
            assert_eq!(one, other, "seed {seed}");
        }
    });
}
