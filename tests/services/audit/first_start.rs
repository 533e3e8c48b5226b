//! The first start: on an empty database, and on one that cannot be reached.

use test_support::http::Connection;
use test_support::postgres::Database;
use test_support::program::Program;
use test_support::redis::{Redis, free_port};
use test_support::sessions::{id, two_players};
use test_support::wait;

/// Changes come before the tables are there; nothing is wrong with that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_not_away() {
    let redis = Redis::start();
    let database = tokio::task::spawn_blocking(Database::create).await.expect("it does not panic");
    let mut program = Program::start(&[("REDIS_URL", &redis.url()), ("DATABASE_URL", &database.url())]);
    let mut client = Connection::open(program.address).await;
    let session = two_players(&id(1), 3_600_000).to_string();
    wait::until("it serves", async || client.ask("POST", "/v1/sessions", &session).await.status == 201).await;
    wait::until("the change is written", async || {
        let history = client.ask("GET", &format!("/v1/sessions/{}/events", id(1)), "").await;
        history.status == 200 && history.json()["data"].as_array().is_some_and(|all| all.len() == 1)
    })
    .await;
    drop(client);
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    let log = program.log_whole().concat();
    assert!(log.contains("the audit's tables are there"), "{log}");
    assert!(!log.contains("is away"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_never_reached_is_named() {
    let redis = Redis::start();
    let nowhere = format!("postgres://u:hunter2@127.0.0.1:{}/audit", free_port());
    let program = Program::start(&[("REDIS_URL", &redis.url()), ("DATABASE_URL", &nowhere)]);
    let mut client = Connection::open(program.address).await;
    let mut ready = client.ask("GET", "/ready", "").await;
    wait::until("it says so before anything was changed", async || {
        ready = client.ask("GET", "/ready", "").await;
        ready.status == 200 && ready.body.contains("the audit's database was never reached: ")
    })
    .await;
    assert_eq!(ready.json()["status"], "degraded", "{ready:?}");
    assert!(!ready.body.contains("hunter2"), "{ready:?}");
    let metrics = client.ask("GET", "/metrics", "").await.body;
    assert_eq!(
        test_support::metrics::value(&metrics, "synckairos_audit_database_away"),
        1.0,
        "the metric says the same"
    );
}
