//! Heartbeats, slow clients, and graceful shutdown.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use test_support::frames::{self, CLOSE, FIN, Frames, PING, PONG, TEXT, frame};
use test_support::http::Connection;
use test_support::server::{self, Server};
use test_support::sessions::{id, participant, two_players};
use test_support::wait::until;
use test_support::ws::Client;

/// More than the server needs to give clients up, less than it takes to give up waiting for them.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_stays_as_long_as_it_answers_pings() {
    let mut config = server::config(&[("HEARTBEAT_MS", "1000")]);
    config.write_timeout = Duration::from_secs(120);
    let server = Server::start_config(config).await;
    let mut http = server.connect().await;
    http.create(&crowd(&id(1))).await;
    let mut silent = Frames::open(server.address(), &id(2)).await;
    let mut slow = Frames::open(server.address(), &id(1)).await;
    let mut quick = Frames::open(server.address(), &id(2)).await;
    for client in [&mut silent, &mut quick] {
        assert_eq!(client.message().await["type"], "CONNECTED");
        assert_eq!(client.next().await, Some((PING, Vec::new())));
    }
    let staying = tokio::spawn(async move {
        for _ in 0..3 {
            quick.send(&frame(FIN | PONG, b"")).await;
            assert_eq!(quick.next().await, Some((PING, Vec::new())));
        }
        quick.send(&[frame(FIN | PONG, b""), frames::text(r#"{"type":"PING"}"#)].concat()).await;
        assert_eq!(quick.message().await["type"], "PONG");
    });
    // Its answer comes while it is sent more than it reads.
    while slow.next().await != Some((PING, Vec::new())) {}
    for n in 0..40 {
        slow.send(&frame(FIN | PONG, b"")).await;
        http.ask("PATCH", &format!("/v1/sessions/{}", id(1)), &json!({"metadata": {"n": n}}).to_string()).await;
    }
    staying.await.expect("a client that answers stays");
    assert_eq!(silent.next().await, None, "a client that does not answer is dropped");
    loop {
        match slow.next().await.expect("it answered") {
            (TEXT, text) if String::from_utf8_lossy(&text).contains(r#""metadata":{"n":39}"#) => break,
            (TEXT | PING, _) => slow.send(&frame(FIN | PONG, b"")).await,
            other => panic!("neither a message nor a ping: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_may_ping_too() {
    let server = Server::start().await;
    let mut client = Frames::open(server.address(), &id(1)).await;
    assert_eq!(client.message().await["type"], "CONNECTED");
    for payload in [&b""[..], b"hello", &[0xff; 125]] {
        client.send(&frame(FIN | PING, payload)).await;
        assert_eq!(client.next().await, Some((PONG, payload.to_vec())));
    }
}

/// A session whose states fill every buffer between server and client soon.
fn crowd(id: &str) -> Value {
    let participants: Vec<_> = (0..1_000)
        .map(|n| json!({"participant_id": participant(n), "participant_index": n, "total_time_ms": 1_000}))
        .collect();
    json!({"session_id": id, "sync_mode": "per_participant", "total_time_ms": 60_000, "participants": participants})
}

/// Changes a session as often as it takes to fill every buffer; `reader` hears of each change.
async fn flood(http: &mut Connection, reader: &mut Client, id: &str) {
    for n in 0..40 {
        http.ask("PATCH", &format!("/v1/sessions/{id}"), &json!({"metadata": {"n": n}}).to_string()).await;
        while !reader.text().await.contains(&format!(r#""metadata":{{"n":{n}}}"#)) {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_client_that_reads_nothing_slows_nobody_and_is_closed() {
    let mut config = server::config(&[]);
    config.write_timeout = Duration::from_millis(500);
    let server = Server::start_config(config).await;
    let mut http = server.connect().await;
    http.create(&crowd(&id(1))).await;
    let mut reader = Client::join(server.address(), &id(1)).await;
    let mut stuck = Frames::open(server.address(), &id(1)).await;
    flood(&mut http, &mut reader, &id(1)).await;
    until("the stuck one is closed", async || stuck.tcp.write_all(&frame(FIN | PONG, b"")).await.is_err()).await;
    flood(&mut http, &mut reader, &id(1)).await;
}

/// Waits until so many clients were given up.
async fn until_too_slow(http: &mut Connection, clients: u32) {
    let line = format!("synckairos_websocket_too_slow_total {clients}\n");
    until("they are given up", async || http.ask("GET", "/metrics", "").await.body.contains(&line)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_too_slowly_is_closed_with_the_reason() {
    let mut config = server::config(&[("HEARTBEAT_MS", "60000")]);
    config.write_timeout = Duration::from_millis(50);
    let server = Server::start_config(config).await;
    let mut http = server.connect().await;
    http.create(&crowd(&id(1))).await;
    let mut slow = Frames::open(server.address(), &id(1)).await;
    let mut reader = Client::join(server.address(), &id(1)).await;
    let mut scraper = server.connect().await;
    // It reads on as soon as it was given up: the close does not wait for long.
    let closed = async {
        until_too_slow(&mut scraper, 1).await;
        slow.closed().await
    };
    let id = id(1);
    let ((), closed) = tokio::join!(flood(&mut http, &mut reader, &id), closed);
    assert_eq!(closed, Some((1013, "Too slow".to_owned())));
}

/// Each of them alone would have had a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn clients_that_do_not_read_are_closed_when_all_together_wait_for_too_much() {
    let mut config = server::config(&[("MAX_OUTBOX_BYTES", "1048576")]);
    config.write_timeout = Duration::from_secs(60);
    let server = Server::start_config(config).await;
    let mut http = server.connect().await;
    let mut stuck = Vec::new();
    for n in 0..6 {
        http.create(&crowd(&id(n))).await;
        let mut reader = Client::join(server.address(), &id(n)).await;
        for _ in 0..3 {
            stuck.push(Frames::open(server.address(), &id(n)).await);
        }
        flood(&mut http, &mut reader, &id(n)).await;
    }
    let waiting = |metrics: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix("synckairos_outbox_bytes "));
        line.and_then(|bytes| bytes.parse::<u64>().ok()).expect("it is told")
    };
    until("there is room again", async || waiting(&http.ask("GET", "/metrics", "").await.body) < 1_048_576).await;
    assert!(!http.ask("GET", "/metrics", "").await.body.contains("synckairos_websocket_too_slow_total 0\n"));
    drop(stuck);
    until("nothing waits", async || waiting(&http.ask("GET", "/metrics", "").await.body) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_stuck_client_that_asks_for_states_does_not_hold_the_clock() {
    let mut config = server::config(&[]);
    config.write_timeout = Duration::from_secs(60);
    let server = Server::start_config(config).await;
    let mut http = server.connect().await;
    http.create(&crowd(&id(1))).await;
    let mut stuck = Frames::open(server.address(), &id(1)).await;
    let mut reader = Client::join(server.address(), &id(1)).await;
    flood(&mut http, &mut reader, &id(1)).await;
    let start = frames::text(r#"{"type":"START","request_id":"a"}"#);
    let complete = frames::text(r#"{"type":"SWITCH","request_id":"a","expected_version":1}"#);
    stuck.send(&[start, frames::text(r#"{"type":"RECONNECT"}"#).repeat(100), complete.repeat(100)].concat()).await;
    reader.next_of("TIME_EXPIRED").await;
}

#[tokio::test]
async fn the_server_says_that_it_goes() {
    let server = Server::start().await;
    let address = server.address();
    server.connect().await.create(&two_players(&id(1), 60_000)).await;
    let mut clients = Vec::new();
    for n in [1, 1, 2] {
        clients.push(Client::join(address, &id(n)).await);
    }
    let stopping = tokio::spawn(server.stop());
    for client in &mut clients {
        let close = loop {
            match client.receive().await {
                Message::Close(close) => break close.expect("a reason"),
                message => assert!(message.is_text(), "{message:?}"),
            }
        };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "Server shutting down"));
    }
    drop(clients);
    timeout(STOP_PATIENCE, stopping).await.expect("nothing is left to wait for").expect("no panic");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// One second lies between any two of them.
#[tokio::test]
async fn clients_leave_one_after_the_other_when_a_stop_is_announced() {
    const CLIENTS: u64 = 8;
    let server = Server::start_with(&[("DRAIN_S", "8")]).await;
    let address = server.address();
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), 60_000)).await;
    let mut clients = JoinSet::new();
    let (left, mut leaving) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..CLIENTS {
        let mut client = Client::join(address, &id(1)).await;
        client.next_of("STATE_SYNC").await;
        let left = left.clone();
        clients.spawn(async move {
            loop {
                match client.receive().await {
                    Message::Close(close) => {
                        let close = close.expect("a reason");
                        assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "Server shutting down"));
                        return left.send(n).expect("somebody counts");
                    }
                    message => assert!(message.is_text(), "{message:?}"),
                }
            }
        });
    }
    let stopping = tokio::spawn(server.stop());
    for _ in 0..CLIENTS / 2 {
        leaving.recv().await.expect("they leave");
    }
    assert_eq!(http.ask("GET", "/ready", "").await.status, 503);
    http.patch(&id(1), &json!({"metadata": {}})).await;
    assert!(leaving.try_recv().is_err(), "the other half is still served");
    stopping.abort();
    clients.abort_all();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_client_that_does_not_let_go_does_not_delay_the_end() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&crowd(&id(1))).await;
    let stuck = Frames::open(server.address(), &id(1)).await;
    let mut deaf = Frames::open(server.address(), &id(2)).await;
    assert_eq!(deaf.message().await["type"], "CONNECTED");
    let mut polite = Client::join(server.address(), &id(1)).await;
    flood(&mut http, &mut polite, &id(1)).await;

    let stopping = tokio::spawn(server.stop());
    assert_eq!(u16::from(polite.closed().await.code), 1001);
    assert_eq!(deaf.closed().await, Some((1001, "Server shutting down".to_owned())));
    timeout(STOP_PATIENCE, stopping).await.expect("nobody is waited for that long").expect("no panic");
    drop(stuck);
}

#[tokio::test]
async fn a_client_that_leaves_in_whatever_way_is_not_missed() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), 60_000)).await;
    let mut witness = Client::join(server.address(), &id(1)).await;
    witness.next_of("STATE_SYNC").await;
    for n in 0..3 {
        let mut leaving = Frames::open(server.address(), &id(1)).await;
        match n {
            0 => leaving.send(&frame(FIN | CLOSE, b"")).await,
            1 => leaving.tcp.set_zero_linger().expect("the socket is open"),
            _ => leaving.send(&frames::head(FIN | TEXT, 100)).await,
        }
        drop(leaving);
        http.patch(&id(1), &json!({"metadata": {"n": n}})).await;
        assert_eq!(witness.next().await["state"]["metadata"]["n"], n);
    }
}
