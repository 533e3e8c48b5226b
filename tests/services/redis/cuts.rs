//! Connections to Redis that break at the worst moment: an acknowledged change was made exactly once.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use test_support::http::Connection;
use test_support::proxy::Proxy;
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::id;
use test_support::wait;

use super::load::Load;
use super::watcher::Watcher;
use super::{HOUR, instance, start, switch, version};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_lost_is_found_by_its_event() {
    const CUTS: u32 = 20;
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let server = instance(&proxy.url()).await;
    let mut load = Load::start(&[server.address()], 8).await;
    for cut in 1..=CUTS {
        proxy.cut_at_exec(1);
        wait::until("a connection is cut", async || proxy.cuts_done() == cut).await;
        load.more(8).await;
    }
    let tallies = load.stop().await;
    let mut client = server.connect().await;
    for tally in tallies {
        assert_eq!((tally.unknown, tally.unavailable), (0, 0), "every outcome is found: {tally:?}");
        tally.check(&mut client).await;
    }
}

/// What the server sends again by itself is not a repetition of its client's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_lost_is_found_by_the_key_of_its_command() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let server = instance(&proxy.url()).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    let path = format!("/v1/sessions/{}/switch", id(1));
    for number in 1..=10_u32 {
        proxy.cut_at_exec(1);
        for is_replayed in [false, true] {
            let answer = client.ask_with("POST", &path, &[("Idempotency-Key", &id(number.into()))], "").await;
            assert_eq!((answer.status, answer.header("idempotency-replayed").is_some()), (200, is_replayed));
            assert_eq!(version(&answer), u64::from(number) + 2);
        }
        assert_eq!(proxy.cuts_done(), number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_outcome_is_found_in_a_crowd_on_one_session() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let server = instance(&proxy.url()).await;
    assert_eq!(crowd(&proxy, &[server]).await, 0);
}

/// One instance whose replies get lost, and one beside it that pushes events out of the state's memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_on_one_session_over_two_instances_is_counted_right() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    crowd(&proxy, &[instance(&proxy.url()).await, instance(&redis.url()).await]).await;
}

/// Many clients switch one session while connections are cut; returns of how many changes the outcome stayed
/// unknown. Everything else must have been made exactly once, or not at all.
async fn crowd(proxy: &Proxy, servers: &[Server]) -> usize {
    const CLIENTS: usize = 24;
    const EACH: usize = 15;
    start(&mut servers[0].connect().await, 1, HOUR).await;
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let mut client = Connection::open(servers[usize::from(client % 4 == 0) % servers.len()].address()).await;
        tasks.spawn(async move {
            let (mut done, mut unknown) = (Vec::new(), 0);
            for _ in 0..EACH {
                let answer = switch(&mut client, 1).await;
                match answer.status {
                    200 => done.push(version(&answer)),
                    409 => {}
                    503 if answer.code() == "UNKNOWN_OUTCOME" => unknown += 1,
                    503 => {}
                    _ => panic!("{answer:?}"),
                }
            }
            (done, unknown)
        });
    }
    proxy.cut_at_exec(6);
    let (mut done, mut unknown) = (Vec::new(), 0);
    while let Some(task) = tasks.join_next().await {
        let (some, more) = task.expect("the client ends well");
        done.extend(some);
        unknown += more;
    }
    assert!(proxy.cuts_done() > 0, "there were faults");
    let total = done.len();
    done.sort_unstable();
    done.dedup();
    assert_eq!(done.len(), total, "each acknowledged change has a version of its own");
    let found = servers[0].connect().await.read(&id(1)).await["version"].as_u64().expect("a version") as usize - 2;
    assert!((total..=total + unknown).contains(&found), "{found} were made, {total} acknowledged, {unknown} unknown");
    unknown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_made_again() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let server = instance(&proxy.url()).await;
    let mut load = Load::start(&[server.address()], 8).await;
    let watcher = Watcher::join(server.address(), &id(0)).await;
    for _ in 0..15 {
        load.more(16).await;
        proxy.cut();
    }
    load.more(16).await;
    let mut client = server.connect().await;
    for tally in load.stop().await {
        tally.check(&mut client).await;
    }
    let newest = client.read(&id(0)).await["version"].as_u64();
    wait::until("the client sees the newest state", async || watcher.version() == newest).await;
    watcher.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_on_all_connections_is_an_outage_that_ends() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let server = instance(&proxy.url()).await;
    let mut load = Load::start(&[server.address()], 8).await;
    load.more(50).await;
    proxy.swallow_from_exec();
    load.more_failures(12).await;
    proxy.heal();
    load.more(50).await;
    let mut client = server.connect().await;
    let tallies = load.stop().await;
    assert!(tallies.iter().any(|tally| tally.unknown > 0), "what was sent and not answered is not known: {tallies:?}");
    for tally in tallies {
        tally.check(&mut client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_updates_are_noticed() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port()).await;
    let (deaf, other) = (instance(&proxy.url()).await, instance(&redis.url()).await);
    let mut client = other.connect().await;
    start(&mut client, 1, HOUR).await;
    start(&mut client, 2, HOUR).await;
    let watchers = [Watcher::join(deaf.address(), &id(1)).await, Watcher::join(deaf.address(), &id(2)).await];
    wait::until("the sessions are seen", async || watchers.iter().all(|watcher| watcher.version() == Some(2))).await;
    proxy.mute_updates();
    assert_eq!(switch(&mut client, 1).await.status, 200);
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(2)), "").await.status, 204);
    let silent = Instant::now();
    wait::until("a change is seen", async || watchers[0].version() == Some(3)).await;
    wait::until("a deletion is seen", async || {
        watchers[1].seen().messages.last().is_some_and(|message| message.contains("SESSION_DELETED"))
    })
    .await;
    // The goal is 2 s; the rest is for a machine that is busy.
    assert!(silent.elapsed() < Duration::from_secs(5), "it took {:?}", silent.elapsed());
    assert_eq!(switch(&mut client, 1).await.status, 200);
    wait::until("updates go on", async || watchers[0].version() == Some(4)).await;
    watchers[0].check();
}
