//! Chaos: instances are killed, Redis and PostgreSQL are killed and halted, in random order. Responses are compared with the
//! rows of the audit. `loadtest/chaos` runs it for long.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;

use test_support::dice::{Dice, scale};
use test_support::http::{Answer, Connection};
use test_support::program::Program;
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::rig::Rig;

const INSTANCES: usize = 3;
const CLIENTS: u64 = 8;
const SESSIONS_EACH: u64 = 4;
const HOUR: u64 = 3_600_000;

/// What all clients share.
struct Stage {
    addresses: Mutex<Vec<SocketAddr>>,
    acknowledged: AtomicU64,
    /// Sessions that instances reported as set back by Redis.
    behind: Arc<AtomicU64>,
    is_over: AtomicBool,
}

/// What one client was told.
#[derive(Default)]
struct Tally {
    /// Epoch and version of every change that was acknowledged, by session.
    done: BTreeMap<String, Vec<(u64, u64)>>,
    unknown: u64,
    refused: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_whatever_fails() {
    chaos(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"], true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lax_redis_loses_is_counted_and_nothing_else_is_wrong() {
    chaos(&["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"], false).await;
}

async fn chaos(redis: &[&str], forgets_nothing: bool) {
    let faults = scale("SYNCKAIROS_TEST_FAULTS", 8);
    let changes_between = scale("SYNCKAIROS_TEST_CHANGES_PER_FAULT", 150);
    let random = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64 % 1_000_000;
    let seed = scale("SYNCKAIROS_TEST_SEED", random);
    println!("seed {seed}: {faults} faults");
    let mut dice = Dice(seed);
    let mut rig = Rig::start_with(redis).await;
    let behind = Arc::new(AtomicU64::new(0));
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(instance(&rig, &behind).await);
    }
    let stage = Arc::new(Stage {
        addresses: Mutex::new(instances.iter().map(|instance| instance.address).collect()),
        acknowledged: AtomicU64::new(0),
        behind,
        is_over: AtomicBool::new(false),
    });
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(play(client, seed, Arc::clone(&stage)));
    }
    let mut counts = BTreeMap::new();
    let start = Instant::now();
    for _ in 0..faults {
        served(&stage, changes_between).await;
        let (kind, length_ms) = (dice.below(6), 100 + dice.below(1_500));
        let name = strike(kind, length_ms, &mut dice, &mut rig, &mut instances, &stage).await;
        *counts.entry(name).or_insert(0) += 1;
    }
    served(&stage, changes_between).await;
    stage.is_over.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    while let Some(client) = clients.join_next().await {
        let more = client.expect("the client ends well");
        tally.done.extend(more.done);
        tally.unknown += more.unknown;
        tally.refused += more.refused;
    }
    let took = start.elapsed();
    drained(&rig).await;
    let done: u64 = tally.done.values().map(|tags| tags.len() as u64).sum();
    let rows = rig.number("select count(*) from sync_events").await;
    println!(
        "seed {seed}: {counts:?}; in {took:?} {done} changes acknowledged, {} of unknown outcome, {} refused; {rows} rows",
        tally.unknown, tally.refused
    );
    let behind = stage.behind.load(Ordering::Relaxed);
    check(&rig, &tally, forgets_nothing, behind, &instances).await;
}

/// An instance whose reports outlive it.
async fn instance(rig: &Rig, behind: &Arc<AtomicU64>) -> Program {
    let mut program = rig.instance(&[("DATABASE_POOL_MAX", "3")]).await;
    let behind = Arc::clone(behind);
    program.leave_log(move |line| {
        if line.contains("forgot acknowledged changes") {
            let said: Value = serde_json::from_str(line).expect("a log line is JSON");
            behind.fetch_add(said["behind"].as_u64().expect("a number"), Ordering::Relaxed);
        }
        line.contains("fault of ours") || line.contains("given up") || line.contains("in part")
    });
    program
}

/// One fault; returns its name.
async fn strike(
    kind: u64,
    length_ms: u64,
    dice: &mut Dice,
    rig: &mut Rig,
    instances: &mut [Program],
    stage: &Stage,
) -> &'static str {
    let pause = Duration::from_millis(length_ms);
    let victim = dice.below(INSTANCES as u64) as usize;
    match kind {
        0 => {
            instances[victim].child.kill().expect("it runs");
            instances[victim].ended().await;
            let new = instance(rig, &stage.behind).await;
            stage.addresses.lock()[victim] = new.address;
            instances[victim] = new;
            "instance killed"
        }
        1 => {
            rig.redis().restart();
            "redis killed"
        }
        2 => {
            rig.postgres(move |postgres| {
                postgres.stop();
                std::thread::sleep(pause);
                postgres.start_again();
            })
            .await;
            "postgres killed"
        }
        3 => {
            rig.redis().signal("STOP");
            tokio::time::sleep(pause).await;
            rig.redis().signal("CONT");
            "redis halted"
        }
        4 => {
            rig.postgres(move |postgres| {
                postgres.signal("STOP");
                std::thread::sleep(pause);
                postgres.signal("CONT");
            })
            .await;
            "postgres halted"
        }
        _ => {
            instances[victim].signal("STOP");
            tokio::time::sleep(pause).await;
            instances[victim].signal("CONT");
            "instance halted"
        }
    }
}

/// Creates sessions and switches them, at whichever instance is there.
async fn play(client: u64, seed: u64, stage: Arc<Stage>) -> Tally {
    let mut dice = Dice(seed ^ (client << 32));
    let mut tally = Tally::default();
    let mut connection = None;
    let mut life = 0;
    while !stage.is_over.load(Ordering::Relaxed) {
        let n = 1_000_000 * client + SESSIONS_EACH * life + dice.below(SESSIONS_EACH);
        let session = id(n);
        let (method, path, body) = match tally.done.contains_key(&session) {
            false => ("POST", "/v1/sessions".to_owned(), two_players(&session, HOUR).to_string()),
            true if dice.below(200) == 0 => {
                // Deleted sessions stay deleted: the next ones have other ids.
                life += 1;
                continue;
            }
            true if tally.done[&session].len() == 1 => ("POST", format!("/v1/sessions/{session}/start"), String::new()),
            true => ("POST", format!("/v1/sessions/{session}/switch"), String::new()),
        };
        if connection.is_none() {
            let addresses = stage.addresses.lock().clone();
            connection = Connection::try_open(addresses[dice.below(INSTANCES as u64) as usize]).await;
        }
        let answer = match &mut connection {
            Some(open) => try_ask(open, method, &path, &body).await,
            None => None,
        };
        let Some(answer) = answer else {
            connection = None;
            tally.unknown += 1;
            tokio::task::yield_now().await;
            continue;
        };
        match answer.status {
            200 | 201 => {
                let tag = answer.header("etag").and_then(|tag| tag.trim_matches('"').split_once('.')).expect("a tag");
                let tag = (tag.0.parse().expect("an epoch"), tag.1.parse().expect("a version"));
                tally.done.entry(session).or_default().push(tag);
                stage.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            503 if answer.code() == "UNKNOWN_OUTCOME" => {
                tally.unknown += 1;
                connection = None;
            }
            // What was made without an answer shows: an id that exists, a session that runs.
            409 | 400 => {
                let path = format!("/v1/sessions/{session}");
                let read = Connection::try_ask(connection.as_mut().expect("it answered"), "GET", &path);
                if let Some(state) = read.await.filter(|answer| answer.status == 200).map(|answer| answer.json()) {
                    let data = &state["data"];
                    let tag = (data["epoch"].as_u64().expect("an epoch"), data["version"].as_u64().expect("a version"));
                    // Seen is as good as told.
                    let tags = tally.done.entry(session).or_default();
                    if !tags.contains(&tag) {
                        tags.push(tag);
                    }
                    if data["status"] == "running" && tags.len() == 1 {
                        tags.insert(0, (tag.0, tag.1 - 1));
                    }
                }
            }
            _ => {
                tally.refused += 1;
                connection = None;
            }
        }
    }
    tally
}

async fn try_ask(connection: &mut Connection, method: &str, path: &str, body: &str) -> Option<Answer> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.send(head.as_bytes()).await;
    connection.answer(false).await
}

/// Leases end, pauses double: this takes longer than other things.
async fn drained(rig: &Rig) {
    let mut said = String::new();
    // What is asked is not told of one moment: a batch that is ended meanwhile has its bytes counted and not its jobs.
    let is_empty = ["waiting 0\n", "held 0\n", "delayed 0\n", "bytes 0\n"];
    wait::within(Duration::from_secs(120), "the queue is empty", async || {
        said = rig.operate(&["queue", "stats"]).await.1;
        is_empty.iter().all(|part| said.contains(part)) || !said.contains("dead 0\n")
    })
    .await;
    assert!(said.contains("dead 0\n"), "{said}");
}

/// Waits until clients are told of so many changes.
async fn served(stage: &Stage, changes: u64) {
    let target = stage.acknowledged.load(Ordering::Relaxed) + changes;
    let is_there = async || stage.acknowledged.load(Ordering::Relaxed) >= target;
    wait::within(Duration::from_secs(60), "clients are served", is_there).await;
}

async fn check(rig: &Rig, tally: &Tally, forgets_nothing: bool, behind: u64, instances: &[Program]) {
    let rows = rig.rows("select session_id, epoch, version, count(*) as rows from sync_events group by 1, 2, 3").await;
    let mut written: BTreeMap<&str, BTreeSet<(u64, u64)>> = BTreeMap::new();
    for row in &rows {
        assert_eq!(row["rows"], 1, "a state has one row: {row}");
        let tag = (row["epoch"].as_u64().expect("an epoch"), row["version"].as_u64().expect("a version"));
        written.entry(row["session_id"].as_str().expect("an id")).or_default().insert(tag);
    }
    let newest = rig.rows("select session_id, epoch, version from sync_sessions").await;
    let newest: BTreeMap<_, _> = newest
        .iter()
        .map(|row| (row["session_id"].as_str().unwrap_or_default(), (row["epoch"].as_u64(), row["version"].as_u64())))
        .collect();
    let none = BTreeSet::new();
    let mut missing = 0;
    for (session, done) in &tally.done {
        let rows = written.get(session.as_str()).unwrap_or(&none);
        missing += done.iter().filter(|tag| !rows.contains(tag)).count();
        if forgets_nothing {
            assert!(done.iter().all(|tag| rows.contains(tag)), "{session}: told {done:?}, written {rows:?}");
            let versions: Vec<_> = rows.iter().map(|(_, version)| *version).collect();
            assert_eq!(versions, (1..=rows.len() as u64).collect::<Vec<_>>(), "{session}: no version is missing");
        }
        let last = rows.last().map(|(epoch, version)| (Some(*epoch), Some(*version)));
        assert_eq!(newest.get(session.as_str()).copied(), last, "{session}: its row shows its newest version");
    }
    println!("{missing} acknowledged changes are missing, {behind} sessions were reported as set back");
    assert!(missing == 0 || (!forgets_nothing && behind > 0), "{missing} are missing, {behind} were reported");
    // What Redis holds is what the audit says.
    let mut client = Connection::open(instances[0].address).await;
    for session in tally.done.keys() {
        let state = client.ask("GET", &format!("/v1/sessions/{session}"), "").await.json()["data"].clone();
        let tag = (state["epoch"].as_u64(), state["version"].as_u64());
        let last = newest.get(session.as_str()).copied();
        if forgets_nothing {
            assert_eq!(Some(tag), last, "{session}: {}", Value::from(session.as_str()));
        }
    }
}
