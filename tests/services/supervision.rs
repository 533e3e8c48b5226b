//! Panics with Redis and PostgreSQL: commits, reads and updates that share connections, and the audit.

use serde_json::Value;

use test_support::http::Connection;
use test_support::postgres::Database;
use test_support::redis::Redis;
use test_support::sessions::{id, two_players};
use test_support::wait::until;

use test_support::faulty::Faulty;

/// A session of a number, and how it is asked for.
fn path(n: u64) -> String {
    format!("/v1/sessions/{}", id(n))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_panics_refuses_one_command_and_its_batch_goes_on() {
    let redis = Redis::start();
    let mut server = Faulty::start(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")]).await;
    let sessions = 8;
    for n in 0..sessions {
        server.client.create(&two_players(&id(n), if n == 0 { 1_000 } else { 3_600_000 })).await;
    }
    server.client.post(&id(0), "start", &Value::Null).await;
    server.panics(&format!("decision {}", id(0)));
    let mut asked = Vec::new();
    for n in 0..sessions {
        let mut client = Connection::open(server.program.address).await;
        let ask = async move {
            client.ask("POST", &format!("{}/{}", path(n), if n == 0 { "switch" } else { "start" }), "").await
        };
        asked.push(tokio::spawn(ask));
    }
    for (n, answer) in asked.into_iter().enumerate() {
        let answer = answer.await.expect("it is answered");
        assert_eq!(answer.status, if n == 0 { 500 } else { 200 }, "{answer:?}");
    }
    server.has_told("decision").await;
    // Its clock runs out meanwhile, here and for every sweep, and nobody else notices.
    until("it was tried to fire it", async || server.failures("decision").await >= 3.0).await;
    for n in 1..sessions {
        server.client.post(&id(n), "switch", &Value::Null).await;
    }
    assert_eq!(server.readiness().await.0, 200);
    server.panics("");
    until("its clock is fired", async || server.client.read(&id(0)).await["status"] == "expired").await;
    server.serves(&id(100)).await;
    server.is_ready_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_the_store_come_back() {
    let redis = Redis::start();
    let mut server = Faulty::start(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")]).await;
    server.client.create(&two_players(&id(1), 3_600_000)).await;
    let mut client = Connection::open(server.program.address).await;
    let change = async |_| {
        let answer = client.ask("PATCH", &path(1), r#"{"increment_ms":1}"#).await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
    };
    server.comes_back("committer", change).await;
    let mut client = Connection::open(server.program.address).await;
    let read = async |_| {
        let answer = client.ask("GET", &path(1), "").await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
    };
    server.comes_back("reader", read).await;
    server.serves(&id(2)).await;
    let mut watcher = test_support::ws::Client::join(server.program.address, &id(1)).await;
    server.comes_back("updates", async |_| {}).await;
    for task in ["upkeep", "lease"] {
        server.comes_back(task, async |_| {}).await;
    }
    server.client.patch(&id(1), &serde_json::json!({"increment_ms": 2})).await;
    while watcher.next_of("STATE_UPDATE").await["state"]["increment_ms"] != 2 {}
    server.serves(&id(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_commands_fail_all_the_time_is_not_ready() {
    let redis = Redis::start();
    let mut server = Faulty::start(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")]).await;
    server.client.create(&two_players(&id(1), 3_600_000)).await;
    server.panics("committer");
    until("it is not ready", async || {
        server.client.ask("POST", &format!("{}/start", path(1)), "").await;
        let (status, said) = server.readiness().await;
        status == 503 && said.contains("the task committer has failed")
    })
    .await;
    server.panics("");
    server.is_ready_again().await;
    server.serves(&id(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_in_the_audit_is_written_all_the_same() {
    let redis = Redis::start();
    let database = tokio::task::spawn_blocking(Database::create).await.expect("it does not panic");
    let mut server = Faulty::start(&[("REDIS_URL", &redis.url()), ("DATABASE_URL", &database.url())]).await;
    let written = async |server: &mut Faulty, n: u64| {
        until(&format!("session {n} is written"), async || {
            server.client.ask("GET", &format!("{}/events", path(n)), "").await.body.contains("session_created")
        })
        .await;
    };
    server.panics(&format!("audit_job {}", id(1)));
    for n in 1..10 {
        server.client.create(&two_players(&id(n), 3_600_000)).await;
    }
    for n in 2..10 {
        written(&mut server, n).await;
    }
    server.has_told("audit_batch").await;
    server.panics("");
    written(&mut server, 1).await;

    server.comes_back("audit_agent", async |_| {}).await;
    let (mut client, mut n) = (Connection::open(server.program.address).await, 10);
    let create = async |_| {
        client.create(&two_players(&id(n), 3_600_000)).await;
        n += 1;
    };
    server.comes_back("audit_writer", create).await;
    for n in 10..n {
        written(&mut server, n).await;
    }
    server.serves(&id(1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_in_postgresql_that_panics_is_one_request_refused() {
    let redis = Redis::start();
    let database = tokio::task::spawn_blocking(Database::create).await.expect("it does not panic");
    let mut server = Faulty::start(&[("REDIS_URL", &redis.url()), ("DATABASE_URL", &database.url())]).await;
    server.client.create(&two_players(&id(1), 3_600_000)).await;
    until("it is written", async || {
        server.client.ask("GET", &format!("{}/events", path(1)), "").await.body.contains("session_created")
    })
    .await;
    redis::cmd("DEL").arg(format!("session:{}", id(1))).exec(&mut redis.connect()).expect("it answers");
    server.panics("archive");
    for asked in [path(1), format!("{}/events", path(1))] {
        let answer = server.client.ask("GET", &asked, "").await;
        assert_eq!((answer.status, &*answer.code()), (503, "UNAVAILABLE"), "{answer:?}");
    }
    server.has_told("archive").await;
    server.serves(&id(2)).await;
    server.panics("");
    until("it comes back", async || server.client.ask("GET", &path(1), "").await.status == 200).await;
    assert_eq!(server.client.ask("GET", &path(3), "").await.status, 404);
    server.is_ready_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_panics_is_retried_and_delays_no_session() {
    let redis = Redis::start();
    let database = tokio::task::spawn_blocking(Database::create).await.expect("it does not panic");
    let settings = [("REDIS_URL", &*redis.url()), ("DATABASE_URL", &database.url()), ("HISTORY_DAYS", "1")];
    let mut server = Faulty::start_with(&settings, "migration").await;
    until("it serves, and says what is wrong", async || {
        let (status, said) = server.readiness().await;
        status == 200 && said.contains("the task migration has failed") && said.contains("a fault of ours")
    })
    .await;
    server.has_told("migration").await;
    server.serves(&id(1)).await;
    server.panics("retention");
    until("the tables are made", async || {
        server.client.ask("GET", &format!("{}/events", path(1)), "").await.body.contains("cycle_switched")
    })
    .await;
    server.has_told("retention").await;
    server.serves(&id(2)).await;
    server.panics("");
    server.is_ready_again().await;
}
