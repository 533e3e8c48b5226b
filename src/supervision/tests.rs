//! What becomes of tasks that end and panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::{Panicked, Supervisor, Task, TaskExit};
use crate::runtime::Stopped;

const TASK: Task = Task::essential("a_task");

fn counted(registry: &Registry, task: &str) -> u32 {
    let mut text = String::new();
    encode(&mut text, registry).expect("memory takes it");
    let series = format!("synckairos_task_failures_total{{task=\"{task}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&*series)).map_or(0, |count| count.parse().expect("a number"))
}

#[tokio::test]
async fn what_ends_or_panics_is_begun_anew_until_it_is_done() {
    let mut registry = Registry::default();
    let supervisor = Supervisor::register(&mut registry);
    let runs = Arc::new(AtomicU32::new(0));
    let (known, counting) = (supervisor.clone(), Arc::clone(&runs));
    let make = move || {
        let run = counting.fetch_add(1, Ordering::Relaxed);
        let troubles = known.troubles();
        async move {
            assert_eq!(troubles.first().map_or(0, |trouble| trouble.failures), run);
            assert_eq!(troubles.first().is_some_and(|trouble| trouble.is_grave()), run >= 3);
            match run {
                0 => panic!("the first"),
                1 => TaskExit::from(()),
                2 => TaskExit::Failed("the third".to_owned()),
                _ => TaskExit::Done,
            }
        }
    };
    supervisor.spawn_kept(TASK, make).await.expect("a keeper does not panic");
    assert_eq!(runs.load(Ordering::Relaxed), 4);
    assert_eq!(counted(&registry, "a_task"), 3);
    assert_eq!(supervisor.troubles(), [], "nobody needs it any more");
}

#[tokio::test]
async fn what_cannot_be_begun_anew_is_told() {
    let mut registry = Registry::default();
    let supervisor = Supervisor::register(&mut registry);
    let kept = supervisor.spawn_kept(TASK, || async { TaskExit::Fatal("no state".to_owned()) });
    supervisor.fatal_failure().await;
    kept.await.expect("a keeper does not panic");
    assert_eq!(counted(&registry, "a_task"), 1);
    let supervisor = Supervisor::register(&mut registry);
    supervisor
        .spawn_kept(Task::irreplaceable("journal"), || async { TaskExit::Failed("its rows are gone".to_owned()) });
    supervisor.fatal_failure().await;
}

#[tokio::test]
async fn what_is_aborted_has_not_failed() {
    let mut registry = Registry::default();
    let supervisor = Supervisor::register(&mut registry);
    let kept = supervisor.spawn_kept(TASK, std::future::pending::<()>);
    tokio::task::yield_now().await;
    kept.abort();
    assert_eq!(kept.await, Err(Stopped));
    assert_eq!((counted(&registry, "a_task"), supervisor.troubles()), (0, Vec::new()));
}

#[tokio::test]
async fn what_is_short_lived_harms_nothing_but_itself() {
    let mut registry = Registry::default();
    let supervisor = Supervisor::register(&mut registry);
    let panics = |why: &'static str| -> u32 { panic!("{why}") };
    let panicked = |why: &str| Err(Panicked(why.to_owned()));
    assert_eq!(supervisor.guard("a", || panics("one")), panicked("one"));
    assert_eq!(supervisor.guarded("a", async { panics("two") }).await, panicked("two"));
    assert_eq!(supervisor.spawn("b", async move { panics("three") }).await.expect("guarded"), panicked("three"));
    assert_eq!(supervisor.block("b", move || panics("four")).await, panicked("four"));
    assert_eq!(supervisor.guarded("b", async { 5 }).await, Ok(5));
    assert_eq!((counted(&registry, "a"), counted(&registry, "b")), (2, 2));
    assert_eq!(supervisor.troubles(), []);
}

#[test]
fn a_thread_is_begun_anew_with_what_it_shares() {
    let mut registry = Registry::default();
    let supervisor = Supervisor::register(&mut registry);
    let (ask, asked) = crossbeam_channel::unbounded::<u32>();
    let (tell, told) = crossbeam_channel::unbounded();
    let run = move || {
        while let Ok(number) = asked.recv() {
            assert_ne!(number, 2);
            tell.send(number).expect("somebody listens");
        }
        TaskExit::Done
    };
    supervisor.keep_thread(TASK, "a-thread".to_owned(), run).expect("there are threads");
    for number in 1..=3 {
        ask.send(number).expect("the thread lives");
    }
    assert_eq!((told.recv(), told.recv()), (Ok(1), Ok(3)));
    assert_eq!(counted(&registry, "a_task"), 1);
    assert_eq!(supervisor.troubles().len(), 1);
}
