//! WebSocket clients that wait: for a response while updates go on, and for each other when they join at once.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use test_support::dice::scale;
use test_support::proxy::Proxy;
use test_support::redis::Redis;
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

use super::{HOUR, instance, instance_with, start};

/// A Redis that carries everything out and answers nothing, while another instance is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_go_on_while_a_command_or_a_question_is_awaited() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let (near, far) =
        (instance(&redis.url()).await, instance_with(&proxy.url(), &[("REQUEST_TIMEOUT_MS", "3000")]).await);
    let mut http = near.connect().await;
    let asked = [
        json!({"type": "PING", "timestamp": 1}),
        json!({"type": "RECONNECT"}),
        json!({"type": "SWITCH", "request_id": "a"}),
    ];
    let mut clients = Vec::new();
    for n in 0..asked.len() as u64 {
        http.create(&two_players(&id(n), HOUR)).await;
        let mut client = Client::join(far.address(), &id(n)).await;
        client.next_of("STATE_SYNC").await;
        http.post(&id(n), "start", &json!({})).await;
        assert_eq!(client.next().await["state"]["version"], 2);
        clients.push(client);
    }
    proxy.swallow_answers();
    for (client, message) in clients.iter_mut().zip(&asked) {
        client.say(message.clone()).await;
    }
    for n in 0..asked.len() as u64 {
        for metadata in [json!({}), json!(null)] {
            http.patch(&id(n), &json!({"metadata": metadata})).await;
        }
    }
    for (client, message) in clients.iter_mut().zip(&asked) {
        for _ in 0..2 {
            assert_eq!(client.next().await["type"], "STATE_UPDATE", "{message}");
        }
    }
    proxy.heal();
    for client in &mut clients {
        while client.next().await["type"] == "STATE_UPDATE" {}
    }
}

/// SYNCKAIROS_TEST_CLIENTS raises how many. How long it took is printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_come_at_once_are_taken_in_though_redis_is_2_ms_away() {
    let clients = scale("SYNCKAIROS_TEST_CLIENTS", 1_000);
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let server = instance(&proxy.url()).await;
    proxy.delay(Duration::from_millis(2));
    let (address, start, mut joining) = (server.address(), Instant::now(), JoinSet::new());
    for n in 0..clients {
        joining.spawn(async move { Client::join(address, &id(n)).await });
    }
    // All at once: none has left when the last one joins.
    let joined = joining.join_all().await;
    println!("{} clients joined within {:?}", joined.len(), start.elapsed());
    assert_eq!(joined.len() as u64, clients);
}

/// More than have room in one round trip after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_come_at_once_are_taken_in() {
    const CLIENTS: u64 = 300;
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let address = server.address();
    let mut http = server.connect().await;
    start(&mut http, 1, HOUR).await;
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        clients.spawn(async move {
            // Most of a session of their own.
            let id = id(if n % 3 == 0 { 1 } else { 100 + n });
            let mut client = Client::join(address, &id).await;
            if n % 3 == 0 {
                assert_eq!(client.next_of("STATE_SYNC").await["state"]["version"], 2);
            }
        });
    }
    clients.join_all().await;
}
