//! Commands over WebSocket: the same rules and limits as over REST.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::ws::Client;

/// Each command on one session over the socket, and the same on its twin over REST.
#[tokio::test]
async fn a_command_does_and_answers_what_rest_does() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let (mine, twin) = (id(1), id(2));
    for id in [&mine, &twin] {
        http.create(&two_players(id, 60_000)).await;
    }
    let mut client = Client::join(server.address(), &mine).await;
    let stranger = "22222222-2222-4222-8222-222222222222";
    let mut seen = Vec::new();
    for (kind, fields) in [
        ("PAUSE", json!({})),
        ("RESUME", json!({})),
        ("SWITCH", json!({})),
        ("START", json!({})),
        ("START", json!({})),
        ("SWITCH", json!({})),
        ("SWITCH", json!({"next_participant_id": participant(1), "current_participant_id": participant(1)})),
        ("SWITCH", json!({"current_participant_id": participant(0)})),
        ("SWITCH", json!({"next_participant_id": stranger})),
        ("SWITCH", json!({"expected_version": 4})),
        ("SWITCH", json!({"expected_version": 3})),
        ("SWITCH", json!({"expected_version": 0, "next_participant_id": 7, "current_participant_id": "x"})),
        ("PAUSE", json!({})),
        ("PAUSE", json!({"expected_version": "fields of others are ignored"})),
        ("SWITCH", json!({})),
        ("RESUME", json!({})),
        ("COMPLETE", json!({})),
        ("COMPLETE", json!({})),
        ("CANCEL", json!({})),
        ("START", json!({})),
        ("SWITCH", json!({})),
    ] {
        let request_id = format!("{} \"{kind}\"\n", seen.len());
        let mut message = fields.clone();
        message["type"] = kind.into();
        message["request_id"] = request_id.clone().into();
        let result = client.order(message).await;
        let path = format!("/v1/sessions/{twin}/{}", kind.to_lowercase());
        let answer = http.ask("POST", &path, &fields.to_string()).await;

        assert_eq!((&result["type"], &result["request_id"]), (&"RESULT".into(), &request_id.into()));
        assert_eq!(result["status"], answer.status, "{kind} {fields}: {result}, {answer:?}");
        assert!(result["server_time_ms"].is_u64(), "{result}");
        let rest = answer.json();
        if answer.status == 200 {
            assert_eq!(shape(&result["data"]), shape(&rest["data"]), "{kind} {fields}");
            assert_eq!(names(&result), ["type", "request_id", "status", "data", "server_time_ms"]);
            let state = http.read(&mine).await;
            if kind == "SWITCH" {
                assert_eq!(result["data"]["participants"], state["participants"]);
            } else {
                assert_eq!(result["data"], state);
            }
        } else {
            assert_eq!(result["error"].to_string().replace(&mine, &twin), rest["error"].to_string(), "{kind} {fields}");
            assert_eq!(names(&result), ["type", "request_id", "status", "error", "server_time_ms"]);
        }
        seen.push(answer.status);
    }
    let expected = [400, 400, 400, 200, 400, 200, 200, 409, 400, 200, 409, 400, 200, 400, 400, 200, 200, 200, 200, 400];
    assert_eq!(seen[..20], expected);
    assert_eq!(seen[20], 400, "a switch of a session that ended otherwise than by a clock");
}

/// Everything of an answer but the instants and what is left of times.
fn shape(data: &Value) -> Value {
    let participants = data["participants"].as_array().expect("participants");
    let participants: Vec<_> = participants.iter().map(|one| (&one["is_active"], &one["cycle_count"])).collect();
    json!([names(data), data["version"], data["status"], data["active_participant_id"], participants])
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_command_needs_a_session_and_its_sender_may_wait_for_one() {
    let server = Server::start().await;
    let mut client = Client::join(server.address(), &id(1)).await;
    let result = client.order(json!({"type": "START", "request_id": "a"})).await;
    let error = json!({"code": "SESSION_NOT_FOUND", "message": format!("Session {} not found", id(1))});
    assert_eq!((&result["status"], &result["error"]), (&404.into(), &error));
    server.connect().await.create(&two_players(&id(1), 60_000)).await;
    assert_eq!(client.order(json!({"type": "START", "request_id": "b"})).await["status"], 200);
}

#[tokio::test]
async fn a_switch_that_meets_a_flag_is_late() {
    let server = Server::start().await;
    server.connect().await.create(&two_players(&id(1), 1_000)).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    client.order(json!({"type": "START", "request_id": "a"})).await;
    client.next_of("TIME_EXPIRED").await;
    let result = client.order(json!({"type": "SWITCH", "request_id": "b"})).await;
    let data = &result["data"];
    assert_eq!((&result["status"], &data["status"]), (&200.into(), &"expired".into()), "{result}");
    assert_eq!(data["expired_participant_id"], participant(0));
    assert_eq!((&data["active_participant_id"], &data["version"]), (&Value::Null, &3.into()));
}

#[tokio::test]
async fn a_command_without_a_name_is_not_understood() {
    let server = Server::start().await;
    let created = server.connect().await.create(&two_players(&id(1), 60_000)).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    client.next_of("STATE_SYNC").await;
    for request_id in
        ["", r#","request_id":"""#, r#","request_id":7"#, r#","request_id":null"#, r#","request_id":"\u0000""#]
    {
        for kind in ["START", "PAUSE", "RESUME", "SWITCH", "COMPLETE", "CANCEL"] {
            client.send(format!(r#"{{"type":"{kind}"{request_id}}}"#).into()).await;
            let error = client.next().await;
            assert_eq!((&error["type"], &error["code"]), (&"ERROR".into(), &"INVALID_MESSAGE".into()), "{request_id}");
            assert!(error["message"].as_str().expect("a message").contains("request_id"), "{error}");
        }
    }
    client.say(json!({"type": "CANCEL", "request_id": "é".repeat(65)})).await;
    assert_eq!(client.next().await["code"], "INVALID_MESSAGE");
    client.say(json!({"type": "RECONNECT"})).await;
    assert_eq!(client.next().await["state"], created, "nothing was done");
    let longest = "é".repeat(64);
    let result = client.order(json!({"type": "CANCEL", "request_id": longest})).await;
    assert_eq!((&result["status"], &result["request_id"]), (&200.into(), &longest.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_switch_has_a_version_of_its_own() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), 60_000)).await;
    http.post(&id(1), "start", &Value::Null).await;
    let address = server.address();
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        clients.spawn(async move {
            let mut client = Client::join(address, &id(1)).await;
            let mut versions = Vec::new();
            for n in 0..10 {
                let result = client.order(json!({"type": "SWITCH", "request_id": n.to_string()})).await;
                assert_eq!(result["status"], 200, "{result}");
                versions.push(result["data"]["version"].as_u64().expect("a version"));
            }
            versions
        });
    }
    let mut versions: Vec<u64> = clients.join_all().await.into_iter().flatten().collect();
    versions.sort_unstable();
    assert_eq!(versions, (3..63).collect::<Vec<_>>());
    assert_eq!(http.read(&id(1)).await["version"], 62);
}

#[tokio::test]
async fn commands_count_in_the_limit_of_requests() {
    let server = Server::start_with(&[("RATE_LIMIT_GENERAL", "6")]).await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), 60_000)).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    for message in [json!({"type": "PING"}), json!({"type": "RECONNECT"}), json!({"type": "?"})] {
        for _ in 0..4 {
            client.say(message.clone()).await;
        }
    }
    let start = client.order(json!({"type": "START", "request_id": "the third"})).await;
    assert_eq!(start["status"], 200, "pings do not count: {start}");
    let invalid = json!({"type": "SWITCH", "request_id": "the fourth", "expected_version": 0});
    assert_eq!(client.order(invalid).await["status"], 400);
    let answer = http.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await;
    assert_eq!(answer.header("ratelimit-remaining"), Some("1"), "the fifth: {answer:?}");
    assert_eq!(client.order(json!({"type": "PAUSE", "request_id": "the sixth"})).await["status"], 200);

    let result = client.order(json!({"type": "RESUME", "request_id": "too many"})).await;
    let error = json!({
        "code": "RATE_LIMIT_EXCEEDED",
        "message": "Too many requests, please try again later",
        "retry_after_seconds": 60,
    });
    assert_eq!((&result["status"], &result["error"]), (&429.into(), &error));
    assert_eq!(http.ask("GET", "/v1/time", "").await.status, 429);
    client.say(json!({"type": "RECONNECT"})).await;
    assert_eq!(client.next_of("STATE_SYNC").await["state"]["status"], "paused", "nothing was resumed");
}

#[tokio::test]
async fn switches_count_in_the_limit_of_their_session() {
    let server = Server::start_with(&[("RATE_LIMIT_SWITCH", "2")]).await;
    let mut http = server.connect().await;
    let (in_time, result) = loop {
        let id = id(http.time_ms().await);
        http.create(&two_players(&id, 60_000)).await;
        http.post(&id, "start", &Value::Null).await;
        let mut client = Client::join(server.address(), &id).await;
        let start = Instant::now();
        let invalid = json!({"type": "SWITCH", "request_id": "does not count", "expected_version": 0});
        client.order(invalid).await;
        http.post(&id, "switch", &json!({})).await;
        let second = client.order(json!({"type": "SWITCH", "request_id": "second"})).await;
        let third = client.order(json!({"type": "SWITCH", "request_id": "third"})).await;
        // The window may have ended on a machine that was busy.
        if start.elapsed() < Duration::from_secs(1) {
            break (second, third);
        }
    };
    assert_eq!(in_time["status"], 200, "{in_time}");
    let error = json!({
        "code": "RATE_LIMIT_EXCEEDED",
        "message": "Too many cycle switches for this session, please slow down",
        "retry_after_seconds": 1,
    });
    assert_eq!((&result["status"], &result["error"]), (&429.into(), &error));
}
