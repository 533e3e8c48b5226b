//! Runs that a seed repeats, and processes that are halted and killed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Scheduler;

const MS: Duration = Duration::from_millis(1);

/// What three tasks say that wait twice each, with the time of each word.
fn story(seed: u64) -> Vec<(u64, u128)> {
    let scheduler = Scheduler::new(seed);
    let process = scheduler.process();
    let said = Arc::new(Mutex::new(Vec::new()));
    for task in 0..3 {
        let (own, said) = (scheduler.clone(), Arc::clone(&said));
        process.spawn(async move {
            for _ in 0..2 {
                own.sleep(5 * MS).await;
                said.lock().expect("nobody panics").push((task, own.now().as_millis()));
            }
        });
    }
    scheduler.run_for(20 * MS);
    assert_eq!(scheduler.now(), 20 * MS);
    said.lock().expect("nobody panics").clone()
}

#[test]
fn a_seed_repeats_a_run_and_others_differ() {
    let all: Vec<_> = (0..50).map(story).collect();
    for (seed, first) in (0..50).zip(&all) {
        assert_eq!(story(seed), *first, "seed {seed}");
        assert_eq!(first.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [5, 5, 5, 10, 10, 10]);
    }
    assert!(all.iter().any(|other| *other != all[0]), "the order is thrown");
}

#[test]
fn a_killed_process_goes_no_further_and_drops_what_it_has() {
    let scheduler = Scheduler::new(1);
    let (one, other) = (scheduler.process(), scheduler.process());
    let kept = Arc::new(());
    for process in [&one, &other] {
        let (own, kept) = (scheduler.clone(), Arc::clone(&kept));
        process.spawn(async move {
            own.sleep(10 * MS).await;
            drop(kept);
        });
    }
    scheduler.run_for(5 * MS);
    assert_eq!(Arc::strong_count(&kept), 3);
    one.kill();
    assert_eq!(Arc::strong_count(&kept), 2);
    scheduler.run_for(5 * MS);
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn a_halted_process_goes_on_where_it_stood() {
    let scheduler = Scheduler::new(1);
    let (process, own) = (scheduler.process(), scheduler.clone());
    let woke = Arc::new(Mutex::new(None));
    let told = Arc::clone(&woke);
    process.spawn(async move {
        own.sleep(10 * MS).await;
        *told.lock().expect("nobody panics") = Some(own.now());
    });
    scheduler.run_for(5 * MS);
    process.halt();
    scheduler.run_for(20 * MS);
    assert_eq!(*woke.lock().expect("nobody panics"), None);
    process.resume();
    scheduler.run_for(MS);
    assert_eq!(*woke.lock().expect("nobody panics"), Some(25 * MS));
}

#[test]
fn a_run_ends_where_it_is_to_end_although_tasks_wait_for_longer() {
    let scheduler = Scheduler::new(1);
    let own = scheduler.clone();
    scheduler.process().spawn(async move { own.sleep(MS).await });
    scheduler.run_for(MS / 2);
    assert_eq!(scheduler.now(), MS / 2);
}
