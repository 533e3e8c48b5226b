//! Slow clients: each times out, with a response where one is possible, and delays no other.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use test_support::http::Connection;
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::wait;

const HOUR: u64 = 3_600_000;

/// A server that gives up soon where `setting` says how long something may take.
async fn impatient(setting: &str) -> Server {
    Server::start_with(&[(setting, "150")]).await
}

async fn assert_too_slow(client: &mut Connection, what: &str) {
    let answer = client.answer(false).await.unwrap_or_else(|| panic!("closed without a word: {what}"));
    assert_eq!((answer.status, answer.code()), (408, "REQUEST_TIMEOUT".to_owned()), "{what}: {answer:?}");
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("connection", "close"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{what}: {answer:?}");
    }
    assert!(client.is_closed().await, "{what}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let server = impatient("HEADER_TIMEOUT_MS").await;
    let mut clients = Vec::new();
    for start in ["G", "GET /health HTTP/1.1\r\n", "GET /health HTTP/1.1\r\nhost: test\r\nx: y", "\r\n"] {
        let mut first = server.connect().await;
        first.send(start.as_bytes()).await;
        let mut later = server.connect().await;
        assert_eq!(later.ask("GET", "/health", "").await.status, 200);
        later.send(start.as_bytes()).await;
        clients.extend([(start, first), (start, later)]);
    }
    for (start, mut client) in clients {
        assert_too_slow(&mut client, start).await;
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let server = impatient("BODY_TIMEOUT_MS").await;
    let mut witness = server.connect().await;
    witness.create(&two_players(&id(1), HOUR)).await;
    let path = format!("/v1/sessions/{}", id(1));
    let mut clients = Vec::new();
    for start in [
        format!("PATCH {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 18\r\n\r\n"),
        format!("PATCH {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 18\r\n\r\n{{\"increment_ms\":1"),
        format!("PATCH {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n"),
        format!("PATCH {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n"),
        format!("POST {path}/start HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n"),
        "GET /health HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n".to_owned(),
    ] {
        let mut client = server.connect().await;
        client.send(start.as_bytes()).await;
        clients.push((start, client));
    }
    for (start, mut client) in clients {
        assert_too_slow(&mut client, &start).await;
    }
    assert_eq!(witness.read(&id(1)).await["version"], 1);
}

/// A byte now and then is not enough to keep a connection.
#[tokio::test]
async fn a_trickle_is_no_excuse() {
    for (setting, head) in [
        ("HEADER_TIMEOUT_MS", "GET /health HTTP/1.1\r\nhost: test\r\nx: "),
        ("BODY_TIMEOUT_MS", "PATCH /v1/sessions/1 HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n"),
    ] {
        let server = impatient(setting).await;
        let mut client = server.connect().await;
        client.send(head.as_bytes()).await;
        let (mut from, mut to) = client.tcp.split();
        let mut answer = Vec::new();
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(10));
        let trickle = async {
            loop {
                ticks.tick().await;
                if to.write_all(b" ").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            read = from.read_to_end(&mut answer) => { read.expect("the answer can be read"); }
            () = trickle => {}
        }
        let answer = String::from_utf8(answer).expect("it is text");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{setting}: {answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let server = Server::start_with(&[("IDLE_TIMEOUT_MS", "150"), ("HEADER_TIMEOUT_MS", "3600000")]).await;
    let mut silent = server.connect().await;
    let mut served = server.connect().await;
    assert_eq!(served.ask("GET", "/health", "").await.status, 200);
    assert!(silent.is_closed().await);
    assert!(served.is_closed().await);
}

#[tokio::test]
async fn no_client_waits_for_a_slow_one() {
    let server = Server::start().await;
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut client = server.connect().await;
        let start = match n % 3 {
            0 => "GET /v1/time HTTP/1.1\r\nhost: test\r\nx: y",
            1 => "POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n{",
            _ => "",
        };
        client.send(start.as_bytes()).await;
        slow.push(client);
    }
    let mut clients = JoinSet::new();
    for n in 0..20 {
        let mut client = server.connect().await;
        clients.spawn(async move {
            client.create(&two_players(&id(n), HOUR)).await;
            client.post(&id(n), "start", &json!({})).await["version"] == 2
        });
    }
    while let Some(served) = clients.join_next().await {
        assert!(served.expect("a client is served"));
    }
    // The slow ones were not forgotten meanwhile.
    for (n, mut client) in slow.into_iter().enumerate() {
        if n % 3 == 0 {
            client.send(b"\r\n\r\n").await;
            assert_eq!(client.answer(false).await.map(|answer| answer.status), Some(200), "{n}");
        }
    }
}

/// What nobody reads is not kept for ever, nor is more and more of it made.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let server = Server::start_with(&[("IDLE_TIMEOUT_MS", "150"), ("MAX_CONNECTIONS", "1")]).await;
    let path = format!("/v1/sessions/{}", id(1));
    let mut session = two_players(&id(1), HOUR);
    let entry = |n: u64| json!({"participant_id": participant(n), "participant_index": 0, "total_time_ms": HOUR});
    session["participants"] = (0..1_000).map(entry).collect();
    let mut client = server.connect().await;
    client.create(&session).await;
    let state_len = client.ask("GET", &path, "").await.body.len();

    const REQUESTS: usize = 500;
    client.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").repeat(REQUESTS).as_bytes()).await;
    // There is room for one connection only: when another is served, this one was given up.
    let served = async || server.connect().await.ask("GET", "/v1/time", "").await.status == 200;
    wait::until("the client that does not read was given up", served).await;
    let received = client.rest().await.len();
    assert!(received < REQUESTS * state_len / 2, "the server went on and on: {received} bytes");
}
