//! Many clients at once: every change that was acknowledged was made, once, and has a version of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use synckairos::engine::{Command, Refusal};
use synckairos::sessions::Failure;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::still::Still;

const HOUR: u64 = 3_600_000;
const CLIENTS: usize = 64;

/// A server with a running session at version 2.
async fn running() -> Server {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    server
}

/// Everything that the tasks found, all of which began at the same time.
async fn gather<T: Send + 'static>(mut tasks: JoinSet<Vec<T>>) -> Vec<T> {
    let mut found = Vec::new();
    while let Some(task) = tasks.join_next().await {
        found.extend(task.expect("the task ends well"));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn no_switch_is_lost() {
    const SWITCHES: usize = 20;
    let server = running().await;
    let start = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, start) = (server.connect().await, Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            let mut results = Vec::new();
            for _ in 0..SWITCHES {
                results.push(client.post(&id(1), "switch", &json!({})).await);
            }
            results
        });
    }
    let mut results = gather(tasks).await;
    results.sort_by_key(|result| result["version"].as_u64());
    assert_eq!(results.len(), CLIENTS * SWITCHES);
    for (version, result) in (3..).zip(&results) {
        assert_eq!(result["version"], version, "versions are consecutive");
        assert_eq!(result["active_participant_id"], participant(version % 2), "each shows what it made: {result}");
        let cycles = [0, 1].map(|n| result["participants"][n]["cycle_count"].as_u64().expect("a number"));
        assert_eq!(cycles.iter().sum::<u64>(), version - 2, "each turn ended once: {result}");
    }
    let state = server.connect().await.read(&id(1)).await;
    assert_eq!(state["version"], 2 + CLIENTS * SWITCHES);
}

/// Each client adds to a counter as a client must: read, change on condition, and once more when another was
/// faster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn no_conditional_change_is_lost() {
    const ADDITIONS: usize = 1;
    let server = running().await;
    let start = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, start) = (server.connect().await, Arc::clone(&start));
        tasks.spawn(async move {
            let path = format!("/v1/sessions/{}", id(1));
            start.wait().await;
            let mut versions = Vec::new();
            while versions.len() < ADDITIONS {
                let state = client.read(&id(1)).await;
                let (version, counter) = (&state["version"], state["metadata"]["counter"].as_u64().unwrap_or(0));
                let body = json!({"expected_version": version, "metadata": {"counter": counter + 1}});
                let answer = client.ask("PATCH", &path, &body.to_string()).await;
                let answered = answer.json();
                if answer.status == 200 {
                    versions.push(answered["data"]["version"].as_u64().expect("a number"));
                } else {
                    assert_eq!((answer.status, answer.code()), (409, "CONFLICT".to_owned()), "{answer:?}");
                    let details = &answered["error"]["details"];
                    assert_eq!(&details["expected_version"], version, "{answer:?}");
                    assert!(details["actual_version"].as_u64() > version.as_u64(), "{answer:?}");
                }
            }
            versions
        });
    }
    let versions: BTreeSet<_> = gather(tasks).await.into_iter().collect();
    let count = (CLIENTS * ADDITIONS) as u64;
    assert_eq!(versions, (3..3 + count).collect(), "versions are consecutive");
    assert_eq!(server.connect().await.read(&id(1)).await["metadata"], json!({"counter": count}));
}

/// What was acknowledged, in the order of versions, is a history that one client alone could have made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_race_happen_one_after_the_other() {
    const COMMANDS: usize = 20;
    let server = running().await;
    let start = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for n in 0..CLIENTS {
        let (mut client, start) = (server.connect().await, Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            let mut changes = Vec::new();
            for round in 0..COMMANDS {
                let action = ["switch", "pause", "resume"][(n + round) % 3];
                let answer = client.ask("POST", &format!("/v1/sessions/{}/{action}", id(1)), "").await;
                match (answer.status, &*answer.code()) {
                    (200, _) => {
                        let version = answer.json()["data"]["version"].as_u64().expect("a number");
                        changes.push((version, action, answer.json()["data"]["status"].clone()));
                    }
                    (400, "INVALID_STATE_TRANSITION") | (409, "CONFLICT") => {}
                    _ => panic!("{action}: {answer:?}"),
                }
            }
            changes
        });
    }
    let mut changes = gather(tasks).await;
    changes.sort_by_key(|(version, ..)| *version);
    assert!(changes.len() > COMMANDS, "too few were carried out: {changes:?}");
    let mut before = json!("running");
    for (expected, (version, action, after)) in (3..).zip(changes) {
        assert_eq!(version, expected, "versions are consecutive");
        let legal = match action {
            "switch" => ("running", "running"),
            "pause" => ("running", "paused"),
            _ => ("paused", "running"),
        };
        assert_eq!((before.as_str(), after.as_str()), (Some(legal.0), Some(legal.1)), "{action} made {version}");
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_created_once() {
    const ROUNDS: usize = 10;
    let server = Server::start().await;
    let start = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, start) = (server.connect().await, Arc::clone(&start));
        tasks.spawn(async move {
            let body = two_players(&id(1), HOUR).to_string();
            let mut epochs = Vec::new();
            for round in 0..ROUNDS {
                start.wait().await;
                let answer = client.ask("POST", "/v1/sessions", &body).await;
                match (answer.status, &*answer.code()) {
                    (201, _) => epochs.push((round, answer.json()["data"]["epoch"].as_u64().expect("a number"))),
                    (409, "SESSION_EXISTS") => {}
                    _ => panic!("{answer:?}"),
                }
                start.wait().await;
                assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(1)), "").await.status, 204);
            }
            epochs
        });
    }
    let mut epochs = gather(tasks).await;
    epochs.sort();
    let rounds: Vec<_> = epochs.iter().map(|(round, _)| *round).collect();
    assert_eq!(rounds, Vec::from_iter(0..ROUNDS), "once in each round");
    assert!(epochs.is_sorted_by(|(_, older), (_, newer)| older < newer), "epochs grow: {epochs:?}");
}

/// Two commands that arrived before either was judged: who comes second could not know of the first.
#[tokio::test]
async fn a_refusal_for_want_of_foresight_is_a_conflict() {
    let switch = || Command::Switch { next: None, current: None };
    let (started, paused) = (&[Command::Start][..], &[Command::Start, Command::Pause][..]);
    let cases = [
        (&[][..], Command::Start, Command::Start),
        (started, Command::Pause, switch()),
        (started, Command::Pause, Command::Pause),
        (started, Command::Complete, switch()),
        (started, Command::Cancel, Command::Pause),
        (paused, Command::Resume, Command::Resume),
        (paused, Command::Complete, Command::Resume),
        (paused, Command::Cancel, Command::Start),
    ];
    for (n, (before, first, second)) in (0..).zip(cases) {
        let what = format!("{first:?} then {second:?}");
        let still = Still::new();
        let name = still.create(&two_players(&id(n), HOUR)).await;
        still.carry_out(name, before).await;

        let (one, two) = (still.sessions.arrive(name), still.sessions.arrive(name));
        let done = still.sessions.change(name, one, first.into()).await.result;
        let version = done.expect("the first is carried out").record.expect("it stays").session().version;
        match still.sessions.change(name, two, second.clone().into()).await.result {
            Err(Failure::Refused(_, refusal)) => {
                let conflict = Refusal::Conflict { actual_version: version, expected_version: None };
                assert_eq!(refusal, conflict, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
        match still.ask(name, second.into()).await.result {
            Err(Failure::Refused(_, refusal)) => assert!(refusal.depends_on_state(), "now it could: {what}"),
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(still.stored(name).await.version, version, "{what}");
    }
}
