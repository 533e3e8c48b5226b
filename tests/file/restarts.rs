//! Restarts: what is recovered, and what happens meanwhile.

use serde_json::Value;
use synckairos::clock::Clock;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::instant;
use test_support::program::Program;
use test_support::sessions::{id, two_players};
use test_support::wait;

use test_support::data_dir::{HOUR, history, start, tag_of};

#[tokio::test]
async fn a_session_comes_back_as_it_was_and_its_next_change_has_a_new_epoch() {
    let directory = Directory::new();
    let mut program = start(&directory);
    assert_eq!((&program.started["store"], &program.started["path"]), (&"file".into(), &directory.text().into()));
    let mut client = Connection::open(program.address).await;
    let mut body = two_players(&id(1), HOUR);
    body["metadata"] = serde_json::json!({"z": [1.5], "a": "\u{e9}\"]],"});
    client.create(&body).await;
    let started = client.post(&id(1), "start", &Value::Null).await;
    program.child.kill().expect("it runs");
    program.ended().await;

    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    assert_eq!(client.read(&id(1)).await, started, "nothing changed");
    assert_eq!(client.ask("POST", "/v1/sessions", &body.to_string()).await.code(), "SESSION_EXISTS");
    let paused = client.post(&id(1), "pause", &Value::Null).await;
    let (before, after) = (tag_of(&started), tag_of(&paused));
    assert!(after.epoch > before.epoch && after.version == before.version + 1, "{after:?} after {before:?}");
    let resumed = client.post(&id(1), "resume", &Value::Null).await;
    assert_eq!(tag_of(&resumed).epoch, after.epoch, "once is enough");
    drop(client);
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    let tags: Vec<_> = history(&directory, &id(1)).await.iter().map(|change| change.tag).collect();
    assert_eq!(tags[1..], [before, after, tag_of(&resumed)]);
}

#[tokio::test]
async fn a_command_that_is_sent_again_is_known() {
    let directory = Directory::new();
    let [create, start_it, delete] = [1, 2, 3].map(id);
    let path = format!("/v1/sessions/{}", id(1));
    let body = two_players(&id(1), HOUR).to_string();
    let send = async |client: &mut Connection, key: &str, method: &str, path: &str, body: &str| {
        let answer = client.ask_with(method, path, &[("Idempotency-Key", key)], body).await;
        (answer.status, answer.header("idempotency-replayed").is_some())
    };
    for is_replayed in [false, true] {
        let mut program = start(&directory);
        let mut client = Connection::open(program.address).await;
        assert_eq!(send(&mut client, &create, "POST", "/v1/sessions", &body).await, (201, is_replayed));
        assert_eq!(send(&mut client, &start_it, "POST", &format!("{path}/start"), "").await, (200, is_replayed));
        program.child.kill().expect("it runs");
        program.ended().await;
    }
    for is_replayed in [false, true] {
        let mut program = start(&directory);
        let mut client = Connection::open(program.address).await;
        assert_eq!(send(&mut client, &delete, "DELETE", &path, "").await, (204, is_replayed));
        assert_eq!(send(&mut client, &start_it, "POST", &format!("{path}/start"), "").await, (404, true));
        program.child.kill().expect("it runs");
        program.ended().await;
    }
}

#[tokio::test]
async fn a_tombstone_survives() {
    let directory = Directory::new();
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    let created = client.create(&two_players(&id(1), HOUR)).await;
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(1)), "").await.status, 204);
    program.child.kill().expect("it runs");
    program.ended().await;
    let changes = history(&directory, &id(1)).await;
    assert_eq!(changes.iter().map(|change| change.is_deletion).collect::<Vec<_>>(), [false, true]);

    let program = start(&directory);
    let mut client = Connection::open(program.address).await;
    assert_eq!(client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await.status, 404);
    let again = client.create(&two_players(&id(1), HOUR)).await;
    assert!(tag_of(&again).epoch > tag_of(&created).epoch);
}

#[tokio::test]
async fn a_clock_that_ran_out_meanwhile_flags_without_a_request() {
    let directory = Directory::new();
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), 1_000)).await;
    let started = client.post(&id(1), "start", &Value::Null).await;
    assert_eq!(started["status"], "running");
    program.child.kill().expect("it runs");
    program.ended().await;
    let deadline = started["deadline_at"].clone();
    let deadline_ms = instant::ms(&deadline);
    wait::until("its time is over", async || Clock::system().now().as_ms() > deadline_ms).await;

    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    wait::until("no clock runs", async || {
        let metrics = client.ask("GET", "/metrics", "").await.body;
        test_support::metrics::value(&metrics, "synckairos_active_sessions") == 0.0
    })
    .await;
    let expired = client.read(&id(1)).await;
    assert_eq!((&expired["status"], &expired["session_completed_at"]), (&"expired".into(), &deadline));
    assert!(tag_of(&expired).epoch > tag_of(&started).epoch);
    drop(client);
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(history(&directory, &id(1)).await.len(), 3, "it flagged once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_orderly_stop_loses_nothing() {
    const SESSIONS: u64 = 200;
    let directory = Directory::new();
    let mut program = start(&directory);
    let mut sent = Vec::new();
    for n in 0..SESSIONS {
        let mut client = Connection::open(program.address).await;
        let body = two_players(&id(n), HOUR).to_string();
        let head = format!("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
        client.send(format!("{head}{body}").as_bytes()).await;
        sent.push(client);
    }
    program.signal("TERM");
    let mut created = Vec::new();
    for (n, client) in sent.iter_mut().enumerate() {
        if client.answer(false).await.is_some_and(|answer| answer.status == 201) {
            created.push(n as u64);
        }
    }
    assert_eq!(program.ended().await, Some(0));
    assert!(!created.is_empty(), "some were taken in");
    let program = start(&directory);
    let mut client = Connection::open(program.address).await;
    for n in created {
        client.read(&id(n)).await;
    }
}

#[tokio::test]
async fn history_is_served_over_restarts() {
    let directory = Directory::new();
    let path = format!("/v1/sessions/{}", id(1));
    let told = async |program: &Program, query: &str| {
        let mut client = Connection::open(program.address).await;
        let answer = client.ask("GET", &format!("{path}/events{query}"), "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let told = page["data"].as_array().expect("a list").iter();
        (told.map(|change| change["event_type"].to_string()).collect::<Vec<_>>().join(" "), page["next"].clone())
    };
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    let (before, next) = told(&program, "").await;
    assert_eq!(before, r#""session_created" "session_started""#);
    program.child.kill().expect("it runs");
    program.ended().await;

    let program = start(&directory);
    let mut client = Connection::open(program.address).await;
    client.post(&id(1), "switch", &Value::Null).await;
    assert_eq!(client.ask("DELETE", &path, "").await.status, 204);
    let after = format!("?after={}", next.as_str().expect("a cursor"));
    assert_eq!(told(&program, &after).await.0, r#""cycle_switched" "session_deleted""#);
    let unknown = client.ask("GET", &format!("/v1/sessions/{}/events", id(2)), "").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "SESSION_NOT_FOUND"));
}
