//! Interrupted subscriptions and forged messages: clients resync, once, or are sent to another instance.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::http::Connection;
use test_support::proxy::Proxy;
use test_support::redis::Redis;
use test_support::sessions::{id, participant, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::watcher::Watcher;
use super::{HOUR, instance, instance_with, ready, start, switch};

fn ask(redis: &Redis, command: &[&str]) {
    redis::cmd(command[0]).arg(&command[1..]).exec(&mut redis.connect()).expect("it answers");
}

async fn readiness(client: &mut Connection) -> (u16, String) {
    let answer = client.ask("GET", "/ready", "").await;
    (answer.status, answer.body)
}

async fn metric(client: &mut Connection, series: &str) -> u64 {
    let text = client.ask("GET", "/metrics", "").await.body;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series}: {text}")).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_updates_is_degraded_and_closes_its_clients() {
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    let mut watcher = Client::join(server.address(), &id(1)).await;
    watcher.next_of("STATE_SYNC").await;
    ask(&redis, &["ACL", "SETUSER", "default", "-subscribe"]);
    ask(&redis, &["CLIENT", "KILL", "TYPE", "pubsub"]);
    wait::until("it says so", async || {
        let (status, body) = readiness(&mut client).await;
        status == 200 && body.contains("degraded") && body.contains("updates are interrupted: Redis refused: NOPERM")
    })
    .await;
    assert_eq!(metric(&mut client, "synckairos_updates_interrupted").await, 1);
    assert_eq!(switch(&mut client, 1).await.status, 200, "all else works");
    assert_eq!(u16::from(watcher.closed().await.code), 1013);
    let mut late = Client::open(server.address(), &format!("?sessionId={}", id(1))).await;
    assert_eq!(u16::from(late.closed().await.code), 1013, "and nobody joins");
    ask(&redis, &["ACL", "SETUSER", "default", "+subscribe"]);
    wait::until("it is over", async || readiness(&mut client).await.1.contains("\"ready\"")).await;
    assert_eq!(metric(&mut client, "synckairos_updates_interrupted").await, 0);
    let watcher = Watcher::join(server.address(), &id(1)).await;
    switch(&mut client, 1).await;
    wait::until("updates are heard", async || watcher.version() == Some(4)).await;
}

/// A Redis that is away altogether is waited for: nobody else would be better off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_stay_while_everything_is_away() {
    let mut redis = Redis::start_with(&["--appendonly", "yes"]);
    let server = instance(&redis.url()).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    let watcher = Watcher::join(server.address(), &id(1)).await;
    redis.kill();
    wait::until("it is noticed", async || readiness(&mut client).await.0 == 503).await;
    redis.restart();
    ready(server.address()).await;
    switch(&mut client, 1).await;
    wait::until("the same client hears of it", async || watcher.version() == Some(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_ended_while_updates_were_interrupted_are_announced_once() {
    const FLAGGED: u64 = 4;
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let server = instance(&proxy.url()).await;
    let mut client = server.connect().await;
    for n in 0..FLAGGED {
        let mut body = two_players(&id(n), 1_500);
        body["on_timeout"] = json!(if n % 2 == 0 { "expire" } else { "notify" });
        client.create(&body).await;
    }
    start(&mut client, FLAGGED, HOUR).await;
    let mut watchers = Vec::new();
    for n in 0..=FLAGGED {
        watchers.push(Watcher::join(server.address(), &id(n)).await);
    }
    for n in 0..FLAGGED {
        client.post(&id(n), "start", &Value::Null).await;
    }
    wait::until("all are heard to start", async || {
        watchers[..FLAGGED as usize].iter().all(|watcher| watcher.version() == Some(2))
    })
    .await;
    proxy.mute_updates();
    for n in 0..FLAGGED {
        wait::until("its clock runs out", async || client.read(&id(n)).await["participants"][0]["has_expired"] == true)
            .await;
    }
    let deleted = client.ask("DELETE", &format!("/v1/sessions/{}", id(FLAGGED)), "").await;
    assert_eq!(deleted.status, 204);
    for (n, watcher) in watchers[..FLAGGED as usize].iter().enumerate() {
        wait::until("its client is told", async || watcher.seen().expired == 1).await;
        assert_eq!(watcher.version(), Some(3), "after the state that shows it: {n}");
    }
    let gone = &watchers[FLAGGED as usize];
    wait::until("and of what is gone", async || {
        gone.seen().messages.iter().any(|message| message.contains("SESSION_DELETED"))
    })
    .await;
    // Updates go on, and nothing is told again, whatever is interrupted once more.
    ask(&redis, &["CLIENT", "KILL", "TYPE", "pubsub"]);
    for n in 0..FLAGGED {
        client.patch(&id(n), &json!({"metadata": {"a": 1}})).await;
        let watcher = &watchers[n as usize];
        wait::until("it is heard of", async || watcher.version() == Some(4)).await;
        assert_eq!(watcher.seen().expired, 1, "{:?}", watcher.seen());
        watcher.check();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_come_at_once_all_join_though_redis_is_far_away() {
    const CLIENTS: u64 = 1_000;
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    // One after the other they would take 20 s, and none may take more than 8.
    let server = instance_with(&proxy.url(), &[("REQUEST_TIMEOUT_MS", "10000")]).await;
    let mut client = server.connect().await;
    start(&mut client, 0, HOUR).await;
    let watcher = Watcher::join(server.address(), &id(0)).await;
    proxy.delay(Duration::from_millis(20));
    let (address, mut joining) = (server.address(), JoinSet::new());
    for n in 1..=CLIENTS {
        joining.spawn(async move {
            let mut client = Client::open(address, &format!("?sessionId={}", id(n))).await;
            client.text().await
        });
    }
    let mut last = 2;
    while let Some(first) = joining.join_next().await {
        assert!(first.expect("it is not refused").contains("CONNECTED"));
        if joining.len() % 100 == 0 {
            assert_eq!(switch(&mut client, 0).await.status, 200);
            last += 1;
        }
    }
    wait::until("updates went on", async || watcher.version() == Some(last)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_messages_silence_no_session() {
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let mut client = server.connect().await;
    let started = start(&mut client, 1, HOUR).await;
    let mut watcher = Client::join(server.address(), &id(1)).await;
    watcher.next_of("STATE_SYNC").await;
    // Somebody waits for a session that is not there yet.
    let mut early = Client::join(server.address(), &id(2)).await;
    let (epoch, version) = (started["epoch"].as_u64().expect("one"), started["version"].as_u64().expect("one"));
    let envelope = |n: u64, epoch: u64, version: u64, message: &str| {
        format!(r#"{{"epoch":{epoch},"version":{version},"sessionId":"{}","message":{message},"timestamp":1}}"#, id(n))
    };
    let update = r#"{"type":"STATE_UPDATE","forged":true}"#;
    for (n, forged) in [
        (1, envelope(1, 9_000_000_000_000_000_000, 1, update)),
        (1, envelope(1, epoch + 1, version + 1, update)),
        (1, envelope(1, epoch, 9_000_000_000_000_000_000, update)),
        (1, envelope(1, epoch, version + 1, r#"{"type":"STATE_UPDATE","forged":nonsense}"#)),
        (1, envelope(1, epoch, version + 1, r#"{"type":"STATE_UPDATE"},"forged":{"a":1"#)),
        (1, envelope(1, epoch, version, r#"["forged"]"#)),
        (1, envelope(1, epoch + 7, 1, r#"{"type":"SESSION_DELETED","forged":true}"#)),
        (1, envelope(2, epoch, version + 1, update)),
        (1, format!(r#"{{"sessionId":"{}","message":"forged","timestamp":1}}"#, id(1))),
        (1, format!(r#"{{"sessionId":"{}","message":{{"forged":1}},"timestamp":1}}"#, id(3))),
        (2, envelope(2, 9_000_000_000_000_000_000, 1, update)),
    ] {
        ask(&redis, &["PUBLISH", &format!("ws:{}", id(n)), &forged]);
    }
    let order = json!({"type": "SWITCH", "request_id": "a", "next_participant_id": participant(1)});
    watcher.say(order).await;
    loop {
        let heard = watcher.text().await;
        assert!(!heard.contains("forged"), "{heard}");
        let heard: Value = serde_json::from_str(&heard).expect("messages are JSON");
        if heard["type"] == "STATE_UPDATE" && heard["state"]["version"] == version + 1 {
            break;
        }
    }
    client.create(&two_players(&id(2), HOUR)).await;
    let heard = early.next().await;
    assert_eq!((&heard["type"], &heard["state"]["version"]), (&json!("STATE_UPDATE"), &json!(1)), "{heard}");
    wait::until("they are counted", async || {
        metric(&mut client, "synckairos_store_rejected_total{what=\"message\"}").await >= 6
    })
    .await;
}
