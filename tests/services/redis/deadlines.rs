//! Deadlines over three instances: each fires once, none early, and those of a halted server delay no others.
//! With SYNCKAIROS_TEST_DEADLINES=5000 and `--nocapture` it prints how late.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::task::{JoinSet, block_in_place};

use test_support::cluster::Cluster;
use test_support::http::Connection;
use test_support::instant;
use test_support::redis::Redis;
use test_support::sessions::{id, participant};
use test_support::wait;

use super::cluster::{PARTITIONS, slot};
use super::watcher::Watcher;
use super::{instance, instance_with, scale, start};

const INSTANCES: usize = 3;
/// How long nothing more must come after the last deadline.
const QUIET: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deadline_is_fired_once_and_none_early() {
    let count = scale("SYNCKAIROS_TEST_DEADLINES", 300);
    let redis = Redis::start();
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(instance(&redis.url()).await);
    }
    let listener = listen(&redis, count);

    let mut tasks = JoinSet::new();
    // Enough time that all are started before the first is due; then all within a second.
    let lead_ms = 1_000 + count;
    for first in 0..16 {
        let address = instances[first as usize % INSTANCES].address();
        tasks.spawn(async move {
            let mut client = Connection::open(address).await;
            for n in (first..count).step_by(16) {
                client.create(&alone(n, lead_ms)).await;
                client.post(&id(n), "start", &Value::Null).await;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("the sessions are started");
    }
    let fired =
        tokio::task::spawn_blocking(move || listener.join().expect("everything is heard")).await.expect("it ends");
    assert_eq!(fired.len() as u64, count, "every deadline is fired");
    let mut late_ms: Vec<_> = Vec::new();
    for (session, firings) in fired {
        let [(deadline, stamped, heard)] = firings[..] else { panic!("{session} was fired {} times", firings.len()) };
        assert!(stamped >= deadline, "{session} was fired at {stamped}, which is before {deadline}");
        late_ms.push(heard.saturating_sub(deadline));
    }
    late_ms.sort_unstable();
    let at = |part: usize| late_ms[(late_ms.len() - 1) * part / 1_000];
    println!("{count} deadlines, lateness in ms when heard: p50 {}, p99 {}, max {}", at(500), at(990), at(1_000));
}

/// More than are fired at the same time are due on a server that does not answer, and then some on others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_on_a_halted_server_holds_up_no_others() {
    const HELD: usize = 600;
    const OTHERS: usize = 16;
    const TIME_MS: u64 = 3_000;
    // The goal is 300 ms; the rest is for a machine that is busy.
    const LATE_MS_MAX: u64 = 1_000;
    let options = ["--save", "", "--appendonly", "no", "--cluster-require-full-coverage", "no"];
    let cluster = block_in_place(|| Cluster::start_with(3, 0, &options));
    let instance = instance_with(&cluster.url(), &[("PARTITIONS", &PARTITIONS.to_string())]).await;
    let slots: BTreeSet<_> = (0..2_000).map(slot).collect();
    let owners: HashMap<_, _> = slots.into_iter().map(|slot| (slot, cluster.owner(slot))).collect();
    let (held, others): (Vec<_>, Vec<_>) = (0..2_000).partition(|n| owners[&slot(*n)] == 0);

    let mut tasks = JoinSet::new();
    for first in 0..8 {
        let (mut client, held) = (instance.connect().await, held.clone());
        tasks.spawn(async move {
            for n in held[..HELD].iter().skip(first).step_by(8) {
                start(&mut client, *n, TIME_MS).await;
            }
        });
    }
    tasks.join_all().await;
    let (mut client, mut watchers) = (instance.connect().await, Vec::new());
    for n in &others[..OTHERS] {
        start(&mut client, *n, TIME_MS).await;
        watchers.push(Watcher::join(instance.address(), &id(*n)).await);
    }
    cluster.nodes[0].signal("STOP");
    for watcher in &watchers {
        wait::until("the others' are fired", async || watcher.seen().expired == 1).await;
    }
    let late_ms: Vec<_> = watchers.iter().flat_map(|watcher| watcher.seen().late_ms).collect();
    println!("while {HELD} were due on a halted server, lateness of others in ms: {late_ms:?}");
    assert!(late_ms.iter().all(|late_ms| *late_ms < LATE_MS_MAX), "{late_ms:?}");
    cluster.nodes[0].signal("CONT");
    let path = format!("/v1/sessions/{}", id(held[0]));
    wait::until("its own are fired when it goes on", async || {
        let answer = client.ask("GET", &path, "").await;
        answer.status == 200 && answer.json()["data"]["status"] == "expired"
    })
    .await;
}

fn alone(n: u64, time_ms: u64) -> Value {
    json!({
        "session_id": id(n), "sync_mode": "per_participant", "total_time_ms": time_ms,
        "participants": [{"participant_id": participant(0), "participant_index": 0, "total_time_ms": time_ms}],
    })
}

type Firings = BTreeMap<String, Vec<(u64, u64, u64)>>;

/// Takes down every state that shows a flag: its deadline, its time stamp, and when it was heard.
fn listen(redis: &Redis, count: u64) -> std::thread::JoinHandle<Firings> {
    let mut connection = redis.connect();
    let (ready, stands) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut updates = connection.as_pubsub();
        updates.subscribe("session-updates").expect("it can be listened to");
        updates.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        ready.send(()).expect("the test waits");
        let mut fired = Firings::new();
        while let Ok(message) = updates.get_message() {
            let heard = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
            let update: Value = serde_json::from_slice(message.get_payload_bytes()).expect("updates are JSON");
            let state: Value = serde_json::from_str(update["state"].as_str().expect("a state")).expect("it is JSON");
            if state["status"] == "expired" {
                let deadline = instant::ms(&state["participants"][0]["expired_at"]);
                let stamped = update["timestamp"].as_u64().expect("a time");
                fired.entry(state["session_id"].to_string()).or_default().push((deadline, stamped, heard));
            }
            if fired.len() as u64 == count {
                updates.set_read_timeout(Some(QUIET)).expect("a timeout");
            }
        }
        fired
    });
    stands.recv().expect("it listens");
    thread
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_be_settled_is_asked_for_less_and_less() {
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let mut http = server.connect().await;
    let mut kept = redis.connect();
    let started = start(&mut http, 1, 2_000).await;
    redis::cmd("SET").arg(format!("session:{}", id(1))).arg("somebody's letter").exec(&mut kept).expect("it is set");
    let metric = async |http: &mut Connection, name: &str| {
        let told = http.ask("GET", "/metrics", "").await.body;
        test_support::metrics::value(&told, name)
    };
    wait::until("it is known", async || metric(&mut http, "synckairos_deadlines_stuck").await == 1.0).await;
    assert!(http.time_ms().await >= instant::ms(&started["deadline_at"]));
    // Others are fired meanwhile, and it is hardly asked for.
    let loads = |kept: &mut redis::Connection| -> u64 {
        let told: String = redis::cmd("INFO").arg("commandstats").query(kept).expect("it answers");
        let line = told.lines().find_map(|line| line.strip_prefix("cmdstat_watch:calls=")).expect("it was called");
        line.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number")
    };
    let before = loads(&mut kept);
    let watcher = Watcher::join(server.address(), &id(2)).await;
    start(&mut http, 2, 2_000).await;
    wait::until("another clock is fired", async || watcher.seen().expired == 1).await;
    let asked = loads(&mut kept) - before;
    assert!(asked < 15, "{asked} times in 2 s");
    // Once it is gone it is none of anybody's business.
    redis::cmd("DEL").arg(format!("session:{}", id(1))).exec(&mut kept).expect("it is gone");
    wait::within(Duration::from_secs(60), "it is forgotten", async || {
        metric(&mut http, "synckairos_deadlines_stuck").await == 0.0
    })
    .await;
}
