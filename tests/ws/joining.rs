//! The handshake, and the first messages that a client receives.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use test_support::frames::{self, Frames};
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

#[tokio::test]
async fn hears_that_it_is_connected_and_then_the_state() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let id = "ABCDEF00-0000-4000-8000-00000000000A";
    http.create(&two_players(id, 60_000)).await;
    let before = http.time_ms().await;
    for path in ["", "a=b&", "sessionid=x&"] {
        let mut client = Client::open(server.address(), &format!("?{path}sessionId={id}")).await;
        let connected = client.next().await;
        let at = connected["timestamp"].as_u64().expect("milliseconds");
        assert_eq!(connected, json!({"type": "CONNECTED", "sessionId": id.to_lowercase(), "timestamp": at}));
        assert!(before <= at);
        let mut sync = client.next().await;
        let state = sync["state"].take();
        let at = sync["timestamp"].as_u64().expect("milliseconds");
        assert_eq!(sync, json!({"type": "STATE_SYNC", "sessionId": id.to_lowercase(), "timestamp": at, "state": null}));
        assert_eq!(state, http.read(id).await);
        assert!(before <= at);
    }
}

#[tokio::test]
async fn may_wait_for_a_session_that_does_not_exist_yet() {
    let server = Server::start().await;
    let mut client = Client::join(server.address(), &id(1)).await;
    client.say(json!({"type": "PING"})).await;
    assert_eq!(client.next().await["type"], "PONG", "there is no state to tell");
    let created = server.connect().await.create(&two_players(&id(1), 60_000)).await;
    let update = client.next().await;
    assert_eq!((&update["type"], &update["state"]), (&"STATE_UPDATE".into(), &created));
    assert_eq!(created["version"], 1);
}

#[tokio::test]
async fn is_closed_with_the_reason() {
    let server = Server::start().await;
    for (query, reason) in [
        ("", "Missing sessionId parameter"),
        ("?", "Missing sessionId parameter"),
        ("?sessionId=", "Missing sessionId parameter"),
        ("?sessionid=00000000-0000-4000-8000-000000000001", "Missing sessionId parameter"),
        ("?sessionId=1", "Invalid sessionId format"),
        ("?sessionId=00000000-0000-4000-8000-00000000000g", "Invalid sessionId format"),
        ("?sessionId=00000000-0000-9000-8000-000000000001", "Invalid sessionId format"),
        ("?sessionId=00000000-0000-4000-c000-000000000001", "Invalid sessionId format"),
        ("?sessionId=00000000000040008000000000000001", "Invalid sessionId format"),
        ("?sessionId=00000000-0000-4000-8000-000000000001%20", "Invalid sessionId format"),
    ] {
        let mut client = Client::open(server.address(), query).await;
        let close = client.closed().await;
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, reason), "{query}");
    }
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_answered_in_json() {
    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let server = Server::start().await;
    let mut http = server.connect().await;
    let path = format!("/ws?sessionId={}", id(1));
    let without = |name: &str| GOOD.iter().copied().filter(|(key, _)| *key != name).collect::<Vec<_>>();
    let mut bad: Vec<_> = GOOD.iter().map(|(name, _)| without(name)).collect();
    bad.push([without("upgrade"), vec![("upgrade", "h2c")]].concat());
    bad.push([without("connection"), vec![("connection", "keep-alive")]].concat());
    bad.push([without("sec-websocket-version"), vec![("sec-websocket-version", "8")]].concat());
    bad.push(Vec::new());
    for headers in bad {
        let answer = http.ask_with("GET", &path, &headers, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (426, "UPGRADE_REQUIRED"), "{headers:?}");
        assert_eq!(answer.header("upgrade"), Some("websocket"), "RFC 9110, section 15.5.22");
        assert_eq!(answer.header("sec-websocket-version"), Some("13"), "RFC 6455, section 4.4");
    }
    for method in ["HEAD", "POST"] {
        let answer = http.ask_with(method, &path, &GOOD, "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method}");
    }
    let answer = http.ask_with("GET", &path, &GOOD, "").await;
    assert_eq!(answer.status, 101, "the connection is as good as before: {answer:?}");
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455, section 1.3");
}

/// RFC 6455, section 4.2.1: a key that is 16 bytes long when decoded, once.
#[tokio::test]
async fn a_handshake_needs_a_key_that_is_one() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let path = format!("/ws?sessionId={}", id(1));
    let good = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    for keys in [
        &["x"][..],
        &[""],
        &["dGhlIHNhbXBsZSBub25jZQ="],
        &["dGhlIHNhbXBsZSBub25jZQ"],
        &["dGhlIHNhbXBsZSBub25jZQ==="],
        &["dGhlIHNhbXBsZSBub25jZSE="],
        &["dGhlIHNhbXBsZSBub25jZ==="],
        &["dGhlIHNhbXBsZSBub25jZ-=="],
        &["dGhlIHNhbXBsZSBub25j ZQ=="],
        &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
    ] {
        let headers: Vec<_> = good.into_iter().chain(keys.iter().map(|key| ("sec-websocket-key", *key))).collect();
        let answer = http.ask_with("GET", &path, &headers, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "BAD_REQUEST"), "{keys:?}");
    }
    let versions =
        [good[0], good[1], ("sec-websocket-version", "12"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
    assert_eq!(http.ask_with("GET", &path, &versions, "").await.header("sec-websocket-version"), Some("13"));
}

#[tokio::test]
async fn subprotocols_may_be_offered_and_none_is_chosen() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let mut request = frames::handshake(&id(1)).trim_end().to_owned();
    request += "\r\nsec-websocket-protocol: chat, synckairos.v9\r\nsec-websocket-protocol: other\r\n\r\n";
    http.send(request.as_bytes()).await;
    let answer = http.answer(false).await.expect("an answer");
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None), "{answer:?}");
    http.send(&frames::frame(frames::FIN | frames::CLOSE, &1000_u16.to_be_bytes())).await;
    assert!(http.rest().await.windows(9).any(|window| window == b"CONNECTED"));
}

#[tokio::test]
async fn a_session_is_named_as_urls_name_things() {
    let server = Server::start().await;
    for query in
        ["sessionId=%30%30000000%2D0000-4000-8000-00000000000%61", "%73essionId=00000000-0000-4000-8000-00000000000a"]
    {
        let mut client = Client::open(server.address(), &format!("?{query}")).await;
        assert_eq!(client.next().await["sessionId"], "00000000-0000-4000-8000-00000000000a", "{query}");
    }
}

#[tokio::test]
async fn an_old_protocol_has_no_handshake() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.send(frames::handshake(&id(1)).replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await;
    assert_eq!(http.answer(false).await.expect("an answer").status, 426);
}

#[tokio::test]
async fn messages_right_behind_the_handshake_are_read() {
    let server = Server::start().await;
    let behind = [frames::text(r#"{"type":"PING","timestamp":1}"#), frames::text(r#"{"type":"PING","timestamp":2}"#)];
    let mut client = Frames::open_with(server.address(), &id(1), &behind.concat()).await;
    assert_eq!(client.message().await["type"], "CONNECTED");
    assert_eq!(client.message().await["client_timestamp"], 1);
    assert_eq!(client.message().await["client_timestamp"], 2);
}

/// Clients that join while the session changes see it grow from where they came in to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_nothing_that_happens_while_it_joins() {
    const CHANGES: usize = 100;
    let server = Server::start().await;
    let (address, id) = (server.address(), id(1));
    let mut http = server.connect().await;
    http.create(&two_players(&id, 60_000)).await;
    let mut clients = JoinSet::new();
    let ready = Arc::new(Barrier::new(7));
    for _ in 0..6 {
        let (id, ready) = (id.clone(), Arc::clone(&ready));
        clients.spawn(async move {
            let mut joined = 0;
            let mut seen = 0;
            ready.wait().await;
            while seen < CHANGES as u64 + 2 {
                seen = watch_for_a_while(&mut Client::join(address, &id).await).await;
                joined += 1;
            }
            joined
        });
    }
    ready.wait().await;
    for n in 0..CHANGES {
        http.patch(&id, &json!({"metadata": {"n": n}})).await;
    }
    http.post(&id, "cancel", &Value::Null).await;
    let joined: Vec<i32> = clients.join_all().await;
    assert!(joined.iter().any(|&joined| joined > 1), "somebody joined in the middle: {joined:?}");
}

/// Hears ten states, or fewer when the session ends; returns the last version.
async fn watch_for_a_while(client: &mut Client) -> u64 {
    let mut last = 0;
    for place in 0..10 {
        let message = client.next().await;
        assert_eq!(message["type"], if place == 0 { "STATE_SYNC" } else { "STATE_UPDATE" });
        let version = message["state"]["version"].as_u64().expect("a version");
        assert!(version > last, "{version} after {last}");
        last = version;
        if message["state"]["status"] == "cancelled" {
            break;
        }
    }
    last
}

#[tokio::test]
async fn a_connection_that_served_requests_can_become_a_websocket() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), 60_000)).await;
    http.send(frames::handshake(&id(1)).as_bytes()).await;
    assert_eq!(http.answer(false).await.expect("an answer").status, 101);
    http.send(&frames::frame(frames::FIN | frames::CLOSE, &1000_u16.to_be_bytes())).await;
    let said = http.rest().await;
    assert!(said.windows(9).any(|window| window == b"CONNECTED"), "{}", String::from_utf8_lossy(&said));
    assert_eq!(said[said.len() - 4..], [0x88, 2, 0x03, 0xe8], "the close comes back");
}
