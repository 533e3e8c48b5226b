//! Updates: changes, responses to messages, the end of a session.

use serde_json::{Value, json};

use test_support::instant;
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::ws::Client;

#[tokio::test]
async fn every_change_reaches_every_watcher_once() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let id = id(1);
    let (mut one, mut other) = (Client::join(server.address(), &id).await, Client::join(server.address(), &id).await);
    let mut version = 0;
    for (action, body) in [
        ("create", two_players(&id, 60_000)),
        ("patch", json!({"metadata": {"round": 1}})),
        ("start", Value::Null),
        ("switch", json!({})),
        ("switch", json!({"next_participant_id": participant(1)})),
        ("pause", Value::Null),
        ("patch", json!({"increment_ms": 500, "warn_at_ms": [10_000]})),
        ("resume", Value::Null),
        ("complete", Value::Null),
        ("patch", json!({"metadata": null})),
    ] {
        match action {
            "create" => http.create(&body).await,
            "patch" => http.patch(&id, &body).await,
            action => http.post(&id, action, &body).await,
        };
        version += 1;
        let state = http.read(&id).await;
        let text = one.text().await;
        assert_eq!(other.text().await, text, "all clients are sent the same bytes");
        let mut update: Value = serde_json::from_str(&text).expect("messages are JSON");
        assert_eq!((&state["version"], &update["state"]), (&version.into(), &state), "after {action}");
        let at = update["timestamp"].as_u64().expect("milliseconds");
        assert!(at >= instant::ms(&state["updated_at"]), "after {action}");
        update["state"].take();
        assert_eq!(update, json!({"type": "STATE_UPDATE", "sessionId": id, "timestamp": at, "state": null}));
    }
}

#[tokio::test]
async fn a_command_that_changes_nothing_is_not_announced() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let (mine, foreign) = (id(1), id(2));
    let mut client = Client::join(server.address(), &mine).await;
    http.create(&two_players(&mine, 60_000)).await;
    assert_eq!(client.next().await["state"]["version"], 1);

    assert_eq!(http.ask("POST", "/v1/sessions", &two_players(&mine, 60_000).to_string()).await.status, 409);
    for refused in ["pause", "resume", "switch"] {
        let answer = http.ask("POST", &format!("/v1/sessions/{mine}/{refused}"), "").await;
        assert_eq!(answer.code(), "INVALID_STATE_TRANSITION");
    }
    http.patch(&mine, &json!({"increment_ms": 0, "on_timeout": "expire"})).await;
    http.create(&two_players(&foreign, 60_000)).await;
    http.post(&foreign, "start", &Value::Null).await;
    http.ask("DELETE", &format!("/v1/sessions/{foreign}"), "").await;
    http.post(&mine, "cancel", &Value::Null).await;
    http.post(&mine, "cancel", &Value::Null).await;
    http.patch(&mine, &json!({"metadata": {}})).await;

    for (version, status) in [(2, "cancelled"), (3, "cancelled")] {
        let update = client.next().await;
        assert_eq!((&update["type"], &update["sessionId"]), (&"STATE_UPDATE".into(), &mine.clone().into()));
        assert_eq!((&update["state"]["version"], &update["state"]["status"]), (&version.into(), &status.into()));
    }
}

#[tokio::test]
async fn a_ping_is_answered_with_its_timestamp() {
    let server = Server::start().await;
    let mut client = Client::join(server.address(), &id(1)).await;
    let mut last = server.connect().await.time_ms().await;
    for (fields, echoed) in [
        ("", None),
        (r#","timestamp":1700000000000"#, Some("1700000000000")),
        (r#","timestamp": -0.50 "#, Some("-0.50")),
        (r#","timestamp":1.50e3"#, Some("1.50e3")),
        (r#","timestamp":123456789012345678901234567890"#, Some("123456789012345678901234567890")),
        (r#","timestamp":"now""#, None),
        (r#","timestamp":null"#, None),
        (r#","timestamp":1,"timestamp":2,"request_id":7"#, Some("2")),
    ] {
        client.send(format!(r#"{{"type":"PING"{fields}}}"#).into()).await;
        let text = client.text().await;
        let pong: Value = serde_json::from_str(&text).expect("messages are JSON");
        let now = pong["timestamp"].as_u64().expect("milliseconds");
        assert!(now >= last, "{text}");
        last = now;
        match echoed {
            Some(echoed) => {
                let received_at = pong["received_at"].as_u64().expect("milliseconds");
                assert!(received_at <= now, "{text}");
                let expected = format!(
                    r#"{{"type":"PONG","timestamp":{now},"client_timestamp":{echoed},"received_at":{received_at}}}"#
                );
                assert_eq!(text, expected, "{fields}");
            }
            None => assert_eq!(pong, json!({"type": "PONG", "timestamp": now}), "{fields}"),
        }
    }
}

#[tokio::test]
async fn a_client_that_reconnects_asks_for_the_state() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let id = id(1);
    let mut client = Client::join(server.address(), &id).await;
    let not_found = json!({
        "type": "ERROR", "code": "SESSION_NOT_FOUND", "message": format!("Session {id} not found"),
    });
    client.say(json!({"type": "RECONNECT"})).await;
    assert_eq!(client.next().await, not_found);

    http.create(&two_players(&id, 60_000)).await;
    http.post(&id, "start", &Value::Null).await;
    let state = http.read(&id).await;
    client.next_of("STATE_UPDATE").await;
    for _ in 0..2 {
        let before = http.time_ms().await;
        client.say(json!({"type": "RECONNECT", "sessionId": "whatever"})).await;
        let sync = client.next_of("STATE_SYNC").await;
        assert_eq!((&sync["sessionId"], &sync["state"]), (&id.clone().into(), &state));
        assert!(sync["timestamp"].as_u64().expect("milliseconds") >= before, "stamped when sent: {sync}");
    }
}

#[tokio::test]
async fn a_session_that_is_deleted_takes_its_clients_along() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let id = id(1);
    let path = format!("/v1/sessions/{id}");
    let mut early = Client::join(server.address(), &id).await;
    assert_eq!(http.ask("DELETE", &path, "").await.status, 204, "there is nothing to delete");
    let first = http.create(&two_players(&id, 60_000)).await;
    assert_eq!(early.next().await["state"]["version"], 1, "so there was nothing to tell");
    let mut late = Client::join(server.address(), &id).await;
    late.next_of("STATE_SYNC").await;

    assert_eq!(http.ask("DELETE", &path, "").await.status, 204);
    for client in [&mut early, &mut late] {
        let deleted = client.next().await;
        let at = deleted["timestamp"].as_u64().expect("milliseconds");
        assert_eq!(deleted, json!({"type": "SESSION_DELETED", "sessionId": id, "timestamp": at}));
        assert!(at >= instant::ms(&first["created_at"]));
        let close = client.closed().await;
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1000, "Session deleted"));
    }

    let mut again = Client::join(server.address(), &id).await;
    let second = http.create(&two_players(&id, 60_000)).await;
    assert_eq!(again.next().await["state"], second, "an id may come back");
    assert!(second["epoch"].as_u64() > first["epoch"].as_u64(), "above all states that it ever had");
}

#[tokio::test]
async fn a_client_that_reconnects_again_and_again_gets_the_state_once_a_second() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), 60_000)).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    assert_eq!(client.next().await["type"], "STATE_SYNC");
    for _ in 0..200 {
        client.say(json!({"type": "RECONNECT"})).await;
    }
    client.say(json!({"type": "PING"})).await;
    assert_eq!(client.next().await["type"], "PONG", "it was told the state already");
    assert_eq!(client.next().await["state"]["version"], 1, "and is told again when a second is over");
    http.patch(&id(1), &json!({"metadata": {}})).await;
    assert_eq!(client.next().await["type"], "STATE_UPDATE", "once");
    for _ in 0..200 {
        client.say(json!({"type": "RECONNECT"})).await;
    }
    client.say(json!({"type": "PING"})).await;
    let (sync, pong) = (client.next().await, client.next().await);
    assert_eq!((&sync["type"], &sync["state"]["version"]), (&"STATE_SYNC".into(), &2.into()), "something had changed");
    assert_eq!(pong["type"], "PONG", "and has not changed since");
}

/// Each message costs 1,024 bytes at least: the first two are paid for by what was saved up, the third 2.8 s later.
#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_client_that_exceeds_its_response_bytes_is_read_later() {
    let settings = [("RATE_LIMIT_ANSWER_BYTES", "300"), ("HEARTBEAT_MS", "60000")];
    let server = Server::start_with(&settings).await;
    let mut http = server.connect().await;
    let asked = [
        json!({"type": "PING"}),
        json!({"type": "?"}),
        json!({"type": "START"}),
        json!({"type": "SWITCH", "request_id": "a", "expected_version": 0}),
        json!({"type": "RECONNECT"}),
    ];
    let mut clients = Vec::new();
    for (n, message) in asked.iter().enumerate() {
        let mut client = Client::join(server.address(), &id(n as u64)).await;
        for _ in 0..2 {
            client.say(message.clone()).await;
        }
        client.say(json!({"type": "PING", "timestamp": 3})).await;
        clients.push(client);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        if asked[n]["type"] != "RECONNECT" {
            client.next().await;
        }
        assert_ne!(client.next().await["client_timestamp"], 3);
        http.create(&two_players(&id(n as u64), 60_000)).await;
    }
    for client in &mut clients {
        assert_eq!(client.next().await["type"], "STATE_UPDATE", "updates go on");
        assert_eq!(client.next_of("PONG").await["client_timestamp"], 3);
    }
}
