//! Retention and erasure in a data directory.

use std::time::Duration;

use serde_json::Value;
use synckairos::clock::Clock;
use synckairos::engine::Timestamp;
use synckairos::store::Metrics;
use synckairos::store::file::DataDir;
use tokio::task::JoinSet;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::program::{command, output};
use test_support::sessions::{id, two_players};

use test_support::data_dir::{HOUR, history, start};

/// Clients whose changes share the writes to the disk.
const CLIENTS: usize = 22;

/// Later than anything that happens here.
const LATER: Timestamp = Timestamp::from_ms(4_000_000_000_000);

fn open(directory: &Directory) -> DataDir {
    DataDir::open(directory.path(), Clock::system(), Duration::from_secs(20), Metrics::default())
        .expect("nobody has it")
}

#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn what_is_over_goes_and_what_lives_keeps_its_newest_state() {
    let directory = Directory::new();
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    for n in 1..=3 {
        client.create(&two_players(&id(n), HOUR)).await;
        client.post(&id(n), "start", &Value::Null).await;
    }
    // More than are looked at in one go.
    let switch = format!("POST /v1/sessions/{}/switch HTTP/1.1\r\nhost: test\r\n\r\n", id(2));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, switch) = (Connection::open(program.address).await, switch.clone());
        clients.spawn(async move {
            for _ in 0..1_100 / CLIENTS {
                client.send(switch.as_bytes()).await;
                assert_eq!(client.answer(false).await.expect("an answer").status, 200);
            }
        });
    }
    clients.join_all().await;
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    let data = open(&directory);
    let before = Timestamp::from_ms(1);
    assert_eq!(data.forget_before(before).await.expect("it can be written"), 0, "nothing is so old");
    let len = || std::fs::metadata(directory.path().join("synckairos.redb")).expect("it is there").len();
    let len_full = len();
    assert_eq!(data.forget_before(LATER).await.expect("it can be written"), 1 + 1_101 + 1);
    assert_eq!(data.forget_before(LATER).await.expect("it can be written"), 0);
    assert!(data.close().await);
    drop(data);
    for n in 1..=3 {
        assert_eq!(history(&directory, &id(n)).await.len(), 1, "its newest state");
    }
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    assert_eq!(client.read(&id(2)).await["version"], 1_102);
    // What is free at the end of the file is given back; what stands behind it moves as it is written again.
    for round in 0.. {
        drop(client);
        program.signal("TERM");
        assert_eq!(program.ended().await, Some(0));
        if len() < len_full {
            break;
        }
        assert!(round < 10, "the file shrinks");
        program = start(&directory);
        client = Connection::open(program.address).await;
        for n in 1..=3 {
            client.post(&id(n), "switch", &Value::Null).await;
        }
    }
}

#[tokio::test]
async fn one_that_came_back_is_not_forgotten_by_a_request_that_is_sent_again() {
    let directory = Directory::new();
    let program = start(&directory);
    let mut client = Connection::open(program.address).await;
    let (path, key) = (format!("/v1/sessions/{}", id(1)), [("Idempotency-Key", &*id(7))]);
    for (is_replayed, history) in [(false, 404), (true, 200)] {
        client.create(&two_players(&id(1), HOUR)).await;
        let deleted = client.ask_with("DELETE", &format!("{path}?history=1"), &key, "").await;
        assert_eq!((deleted.status, deleted.header("idempotency-replayed").is_some()), (204, is_replayed));
        assert_eq!(client.ask("GET", &format!("{path}/events"), "").await.status, history);
    }
}

#[tokio::test]
async fn a_session_is_forgotten_when_that_is_asked() {
    let directory = Directory::new();
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    for n in 1..=2 {
        client.create(&two_players(&id(n), HOUR)).await;
    }
    let path = format!("/v1/sessions/{}", id(1));
    let purge = |id: &str| output(command().args(["purge", id]).env("DATA_DIR", directory.text()));
    let refused = purge(&id(1));
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("history=1"), "whom to ask is said");
    assert_eq!(client.ask("DELETE", &format!("{path}?history=1"), "").await.status, 204);
    assert_eq!(client.ask("GET", &format!("{path}/events"), "").await.status, 404);
    assert_eq!(client.ask("DELETE", &format!("{path}?history=1"), "").await.status, 204, "there is nothing any more");
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(history(&directory, &id(1)).await.len(), 0);
    assert_eq!(history(&directory, &id(2)).await.len(), 1);
    let purged = purge(&id(2));
    assert_eq!(purged.status.code(), Some(0), "{}", String::from_utf8_lossy(&purged.stderr));
    assert_eq!(history(&directory, &id(2)).await.len(), 0);
}
