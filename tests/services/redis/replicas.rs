//! Changes that replicas must have before they are acknowledged (REDIS_REPLICAS_MIN). With
//! SYNCKAIROS_TEST_SWITCHES=20000, a release build and `--nocapture` it tells what that costs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use test_support::http::Connection;
use test_support::proxy::Proxy;
use test_support::redis::Redis;
use test_support::sessions::id;
use test_support::wait;

use super::watcher::Watcher;
use super::{HOUR, instance, instance_with, scale, start, switch, version};

/// A replica that has all that its master has.
async fn replica_of(master: &Redis) -> Redis {
    let follows = format!("127.0.0.1 {}", master.port());
    let options = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--replicaof", &follows];
    let replica = Redis::start_with(&options);
    follows_well(&replica).await;
    wait::until("the master knows that it does", async || {
        let mut commands = redis::pipe();
        commands.cmd("SETEX").arg("something").arg(1).arg("").ignore();
        commands.cmd("WAIT").arg(1).arg(100);
        let (heard,): (u64,) = commands.query(&mut master.connect()).expect("it answers");
        heard > 0
    })
    .await;
    replica
}

async fn follows_well(replica: &Redis) {
    wait::until("the replica follows", async || {
        let info: String = redis::cmd("INFO").arg("replication").query(&mut replica.connect()).expect("it answers");
        info.contains("master_link_status:up")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_too_few_replicas_have() {
    let master = Redis::start();
    let mut replica = replica_of(&master).await;
    let server = instance_with(&master.url(), &[("REDIS_REPLICAS_MIN", "1")]).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    start(&mut client, 2, 2_000).await;
    let watcher = Watcher::join(server.address(), &id(2)).await;
    assert_eq!(version(&switch(&mut client, 1).await), 3);
    replica.kill();
    for made in 4..=5 {
        let answer = switch(&mut client, 1).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "UNKNOWN_OUTCOME"), "{answer:?}");
        assert_eq!(client.read(&id(1)).await["version"], made, "it is made, and made once");
    }
    let refused = client.ask("POST", &format!("/v1/sessions/{}/resume", id(1)), "").await;
    assert_eq!(refused.status, 400, "what changes nothing needs nobody: {refused:?}");
    wait::until("a deadline is fired all the same", async || watcher.seen().expired == 1).await;
    replica.restart();
    follows_well(&replica).await;
    wait::until("changes are acknowledged again", async || switch(&mut client, 1).await.status == 200).await;
    let (newest, known) = (client.read(&id(1)).await, &id(1));
    let kept: Vec<u8> =
        redis::cmd("GET").arg(format!("session:{known}")).query(&mut replica.connect()).expect("it answers");
    let kept: Value = serde_json::from_slice(&kept).expect("a state is JSON");
    assert_eq!(kept["version"], newest["version"], "the replica has it");
    assert_eq!((watcher.version(), watcher.seen().expired), (Some(3), 1), "and it was fired once");
}

/// That a change is found to be made says nothing of the replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_reply_is_lost_stays_unknown() {
    let master = Redis::start();
    let _replica = replica_of(&master).await;
    let proxy = Proxy::start(master.port()).await;
    let server = instance_with(&proxy.url(), &[("REDIS_REPLICAS_MIN", "1")]).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    proxy.cut_at_exec(1);
    let answer = switch(&mut client, 1).await;
    assert_eq!(proxy.cuts_done(), 1);
    assert_eq!((answer.status, answer.code().as_str()), (503, "UNKNOWN_OUTCOME"), "{answer:?}");
    let next = switch(&mut client, 1).await;
    assert_eq!((next.status, version(&next)), (200, 4), "it was made once");
}

/// Of each server the p50 of one client, in ms, and how many switches many clients got a second.
type Round = Vec<(f64, f64)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_replicas_cost() {
    const ROUNDS: usize = 3;
    const CLIENTS: u64 = 32;
    let switches = scale("SYNCKAIROS_TEST_SWITCHES", 600);
    let master = Redis::start();
    let _replicas = [replica_of(&master).await, replica_of(&master).await];
    let servers = [
        instance(&master.url()).await,
        instance_with(&master.url(), &[("REDIS_REPLICAS_MIN", "1")]).await,
        instance_with(&master.url(), &[("REDIS_REPLICAS_MIN", "2")]).await,
    ];
    for n in 0..CLIENTS {
        start(&mut servers[0].connect().await, n, HOUR).await;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Round::new();
        for server in &servers {
            let (p50_ms, _) = run(server.address(), 1, switches / 4).await;
            let (_, per_second) = run(server.address(), CLIENTS, switches).await;
            round.push((p50_ms, per_second));
        }
        rounds.push(round);
    }
    for min in 0..servers.len() {
        // Ratios within a round, where the machine is as busy; then the one in the middle.
        let middle = |of: &dyn Fn(&Round) -> f64| {
            let mut all: Vec<_> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[ROUNDS / 2]
        };
        println!(
            "REDIS_REPLICAS_MIN={min}: p50 of 1 client {:.3} ms ({:.2} times), {CLIENTS} clients {:.0}/s ({:.2} times)",
            middle(&|round| round[min].0),
            middle(&|round| round[min].0 / round[0].0),
            middle(&|round| round[min].1),
            middle(&|round| round[min].1 / round[0].1),
        );
    }
}

/// So many switches by so many clients, each with a session of its own; p50 in ms, and how many a second.
async fn run(address: SocketAddr, clients: u64, switches: u64) -> (f64, f64) {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..clients {
        let mut client = Connection::open(address).await;
        tasks.spawn(async move {
            let mut took = Vec::new();
            for _ in 0..switches / clients {
                let asked = Instant::now();
                let answer = switch(&mut client, n).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                took.push(asked.elapsed());
            }
            took
        });
    }
    let mut took: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let per_second = took.len() as f64 / start.elapsed().as_secs_f64();
    took.sort_unstable();
    (took[took.len() / 2].as_secs_f64() * 1_000.0, per_second)
}
