//! What it costs to wait for replicas (REDIS_REPLICAS_MIN): switches on a master with two replicas, in ratio to an
//! instance that waits for none. Rounds take turns, since what else the machine does changes all the time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use test_support::http::Connection;
use test_support::redis::Redis;
use test_support::replicas::replica_of;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;
use tokio::task::JoinSet;

const ROUNDS: usize = 5;
const CLIENTS: u64 = 32;
const SWITCHES: u64 = 20_000;

/// Of each server the p50 of one client, in ms, and how many switches many clients got a second.
type Round = Vec<(f64, f64)>;

#[tokio::main]
async fn main() {
    let master = Redis::start();
    let _replicas = [replica_of(&master).await, replica_of(&master).await];
    let mut servers = Vec::new();
    let url = master.url();
    for min in ["0", "1", "2"] {
        let settings = [("REDIS_URL", url.as_str()), ("AUDIT", "off"), ("REDIS_REPLICAS_MIN", min)];
        servers.push(Server::start_with(&settings).await);
    }
    for server in &servers {
        let mut client = server.connect().await;
        wait::until("it is ready", async || client.ask("GET", "/ready", "").await.status == 200).await;
    }
    let mut client = servers[0].connect().await;
    for n in 0..CLIENTS {
        client.create(&two_players(&id(n), 3_600_000)).await;
        client.post(&id(n), "start", &Value::Null).await;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Round::new();
        for server in &servers {
            let (p50_ms, _) = run(server.address(), 1, SWITCHES / 4).await;
            let (_, per_second) = run(server.address(), CLIENTS, SWITCHES).await;
            round.push((p50_ms, per_second));
        }
        rounds.push(round);
    }
    for min in 0..servers.len() {
        print(&rounds, min);
    }
}

/// Ratios within a round, where the machine is as busy; then the one in the middle.
fn print(rounds: &[Round], min: usize) {
    let middle = |of: &dyn Fn(&Round) -> f64| {
        let mut all: Vec<_> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!(
        "REDIS_REPLICAS_MIN={min}: p50 of 1 client {:.3} ms ({:.2} times), {CLIENTS} clients {:.0}/s ({:.2} times)",
        middle(&|round| round[min].0),
        middle(&|round| round[min].0 / round[0].0),
        middle(&|round| round[min].1),
        middle(&|round| round[min].1 / round[0].1),
    );
}

/// So many switches by so many clients, each with a session of its own; p50 in ms, and how many a second.
async fn run(address: SocketAddr, clients: u64, switches: u64) -> (f64, f64) {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..clients {
        let mut client = Connection::open(address).await;
        let path = format!("/v1/sessions/{}/switch", id(n));
        tasks.spawn(async move {
            let mut took = Vec::new();
            for _ in 0..switches / clients {
                let asked = Instant::now();
                let answer = client.ask("POST", &path, "").await;
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
