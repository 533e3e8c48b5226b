//! Several instances on one Redis, each a real process or server: responses against what is stored.

mod access;
mod audited;
mod churn;
mod cluster;
mod clocks;
mod connections;
mod cuts;
mod deadlines;
mod descriptors;
mod faulty;
mod fitness;
mod garbage;
mod halted;
mod idempotency;
mod instances;
mod keys;
mod lapsed;
mod limits;
mod load;
mod makers;
mod misconfigured;
mod outages;
mod process;
mod published;
mod replicas;
mod sentinel;
mod spoiled;
mod steps;
mod stored;
mod unheard;
mod waiting;
mod watcher;

use std::net::SocketAddr;

use serde_json::Value;

use test_support::dice::{Dice, scale};
use test_support::http::{Answer, Connection};
use test_support::program::Program;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;

/// A time that no test waits for.
const HOUR: u64 = 3_600_000;

/// An instance inside the test's own process that is ready.
async fn instance(url: &str) -> Server {
    instance_with(url, &[]).await
}

/// One with settings of the test's own.
async fn instance_with(url: &str, settings: &[(&str, &str)]) -> Server {
    let server = Server::start_with(&[&[("REDIS_URL", url), ("AUDIT", "off")], settings].concat()).await;
    ready(server.address()).await;
    server
}

/// An instance that is a process of its own and is ready.
async fn program(url: &str) -> Program {
    let settings = [("REDIS_URL", url), ("AUDIT", "off"), ("RATE_LIMIT_SWITCH", "0"), ("LOG_LEVEL", "info")];
    let program = Program::start(&settings);
    ready(program.address).await;
    program
}

/// Waits until an instance is ready.
async fn ready(address: SocketAddr) {
    let mut client = Connection::open(address).await;
    wait::until("the instance is ready", async || client.ask("GET", "/ready", "").await.status == 200).await;
}

/// A running session of two participants.
async fn start(client: &mut Connection, n: u64, time_ms: u64) -> Value {
    client.create(&two_players(&id(n), time_ms)).await;
    client.post(&id(n), "start", &Value::Null).await
}

/// A switch, whatever comes of it.
async fn switch(client: &mut Connection, n: u64) -> Answer {
    client.ask("POST", &format!("/v1/sessions/{}/switch", id(n)), "").await
}

/// The version that an answer tells.
fn version(answer: &Answer) -> u64 {
    answer.json()["data"]["version"].as_u64().unwrap_or_else(|| panic!("no version: {answer:?}"))
}
