//! Fan-out: each change reaches each client that keeps up, in every backend; a slow client learns how many it was not sent.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::redis::Redis;
use test_support::server::{self, Server};
use test_support::sessions::{id, participant, two_players};
use test_support::wait::until;
use test_support::ws::Client;

const PAIRS: u64 = 60;
const WRITERS: u64 = 4;

/// Watches from version 2 on, and checks that each version comes, one after the other.
async fn watch(mut client: Client, last: u64) {
    for version in 3..=last {
        let update = client.next_of("STATE_UPDATE").await;
        assert_eq!((&update["state"]["version"], &update["skipped"]), (&version.into(), &Value::Null), "{update}");
    }
}

/// Changes that come together: two in one segment, and several over connections of their own.
async fn all_are_told(changed: SocketAddr, watched: SocketAddr) {
    let id = id(1);
    let mut http = Connection::open(changed).await;
    http.create(&two_players(&id, 3_600_000)).await;
    http.post(&id, "start", &Value::Null).await;
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let client = Client::join(watched, &id).await;
        clients.spawn(watch(client, 2 + 2 * PAIRS + WRITERS * PAIRS));
    }
    let ask = |action: &str| format!("POST /v1/sessions/{id}/{action} HTTP/1.1\r\nhost: test\r\n\r\n");
    for _ in 0..PAIRS {
        http.send([ask("pause"), ask("resume")].concat().as_bytes()).await;
        for _ in 0..2 {
            assert_eq!(http.answer(false).await.expect("an answer").status, 200);
        }
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let id = id.clone();
        writers.spawn(async move {
            let mut http = Connection::open(changed).await;
            for n in 0..PAIRS {
                http.patch(&id, &json!({"metadata": {"writer": writer, "n": n}})).await;
            }
        });
    }
    writers.join_all().await;
    clients.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sessions_in_memory() {
    let server = Server::start().await;
    all_are_told(server.address(), server.address()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sessions_in_a_file() {
    let directory = Directory::new();
    let server = Server::start_with(&[("DATA_DIR", directory.text())]).await;
    all_are_told(server.address(), server.address()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sessions_in_redis_by_whichever_instance() {
    let redis = Redis::start();
    let settings = [("REDIS_URL", &*redis.url()), ("AUDIT", "off"), ("REQUEST_TIMEOUT_MS", "20000")];
    let (one, other) = (Server::start_with(&settings).await, Server::start_with(&settings).await);
    for server in [&one, &other] {
        let mut http = server.connect().await;
        until("it is ready", async || http.ask("GET", "/ready", "").await.status == 200).await;
    }
    all_are_told(one.address(), other.address()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_socket_is_full_learns_how_many_updates_were_skipped() {
    const CHANGES: u64 = 60;
    let mut config = server::config(&[]);
    config.write_timeout = Duration::from_secs(120);
    let server = Server::start_config(config).await;
    let mut http = server.connect().await;
    let participants: Vec<_> = (0..1_000)
        .map(|n| json!({"participant_id": participant(n), "participant_index": n, "total_time_ms": 1_000}))
        .collect();
    let crowd = json!({
        "session_id": id(1), "sync_mode": "per_participant", "total_time_ms": 60_000, "participants": participants,
    });
    http.create(&crowd).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    for n in 1..=CHANGES {
        http.patch(&id(1), &json!({"metadata": {"n": n}})).await;
    }
    let (mut version, mut skipped) = (1, 0);
    while version <= CHANGES {
        let update = client.next_of("STATE_UPDATE").await;
        let replaced = update["skipped"].as_u64().unwrap_or(0);
        assert_eq!(update["state"]["version"], version + 1 + replaced);
        version += 1 + replaced;
        skipped += replaced;
    }
    assert!(skipped > 0, "60 states are 15 MB, which no socket takes");
    http.patch(&id(1), &json!({"metadata": null})).await;
    let update = client.next().await;
    assert_eq!((&update["state"]["version"], &update["skipped"]), (&(CHANGES + 2).into(), &Value::Null));
}
