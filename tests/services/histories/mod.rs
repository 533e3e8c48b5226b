//! Linearizability of real processes: several instances on one store, clients that all want the same few sessions, and
//! faults; every session's history is judged by a checker that knows nothing of the server.
//!
//! `loadtest/histories` runs it for long: SYNCKAIROS_TEST_HISTORIES (how many), SYNCKAIROS_TEST_OPERATIONS (of each),
//! SYNCKAIROS_TEST_SEED (of the first).

mod answers;
mod audit;
mod client;
mod clocks;
mod faults;
mod long;
mod record;
mod report;
mod run;
mod site;

use std::time::{SystemTime, UNIX_EPOCH};

use test_support::dice::scale;

use run::{Plan, run};
use site::Kind;

/// Runs so many histories of a kind, unless the environment says how many.
async fn judge(kind: Kind, is_audited: bool) {
    let histories = scale("SYNCKAIROS_TEST_HISTORIES", 1);
    let operations = scale("SYNCKAIROS_TEST_OPERATIONS", 2_000);
    let random = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64 % 1_000_000;
    let first = scale("SYNCKAIROS_TEST_SEED", random);
    for seed in first..first + histories {
        let outcome = run(&Plan { kind, seed, operations, is_audited }).await;
        println!("{}", outcome.summary());
        assert!(outcome.is_right(), "SYNCKAIROS_TEST_SEED={seed} ({}):\n{}", kind.name(), outcome.problems.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_redis_that_syncs_always() {
    judge(Kind::Always, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_redis_that_syncs_every_second() {
    judge(Kind::EverySecond, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_group_where_replicas_have_every_change() {
    judge(Kind::Replicated, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_group_that_waits_for_nobody() {
    judge(Kind::Sentinel, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cluster() {
    judge(Kind::Cluster, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_data_directory() {
    judge(Kind::File, true).await;
}
