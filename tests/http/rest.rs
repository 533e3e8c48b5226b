//! Sessions over REST: their whole life, every refusal, the form of responses.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use synckairos::http::resources;

use test_support::http::{Answer, Connection};
use test_support::instant;
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::wait;

const HOUR: u64 = 3_600_000;
const JSON: &str = "application/json; charset=utf-8";

#[tokio::test]
async fn creation_answers_with_the_whole_state() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let answer = client.ask("POST", "/v1/sessions", &two_players(&id(1), HOUR).to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let answered = answer.json();
    let (epoch, created_at) = (&answered["data"]["epoch"], &answered["data"]["created_at"]);
    let player = |n: u64| {
        json!({
            "participant_id": participant(n), "participant_index": n, "total_time_ms": HOUR, "time_used_ms": 0,
            "time_remaining_ms": HOUR, "cycle_count": 0, "is_active": false, "has_expired": false,
            "initial_time_ms": HOUR,
        })
    };
    let state = json!({
        "session_id": id(1), "sync_mode": "per_participant", "status": "pending", "version": 1, "epoch": epoch,
        "participants": [player(0), player(1)],
        "active_participant_id": null, "total_time_ms": 2 * HOUR, "time_per_cycle_ms": null,
        "cycle_started_at": null, "session_started_at": null, "session_completed_at": null,
        "increment_ms": 0, "deadline_at": null, "on_timeout": "expire",
        "created_at": created_at, "updated_at": created_at,
    });
    assert_eq!(answered, json!({"data": state, "server_time_ms": answered["server_time_ms"]}));
    assert!(epoch.as_u64() >= Some(instant::ms(created_at)), "an epoch is a time: {answer:?}");
    assert!(answered["server_time_ms"].as_u64() >= epoch.as_u64(), "{answer:?}");
}

#[tokio::test]
async fn what_was_given_comes_back() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let group = "22222222-2222-4222-8222-222222222222";
    let mut given = two_players(&id(1).to_uppercase(), HOUR);
    given["sync_mode"] = "per_group".into();
    given["participants"][0]["group_id"] = group.to_uppercase().into();
    given["time_per_cycle_ms"] = json!(60_000.0);
    given["increment_ms"] = json!(6e4);
    given["max_time_ms"] = json!(HOUR);
    given["metadata"] = json!({"name": "Ξ \u{1F600}", "1e400": [1.50, null, {}]});
    given["on_timeout"] = "notify".into();
    given["warn_at_ms"] = json!([10_000, 30_000]);
    given["groups"] = json!([{"group_id": group, "total_time_ms": 5_000}]);
    given["unknown"] = json!({"ignored": true});
    let state = client.create(&given).await;
    assert_eq!(state["session_id"], id(1), "ids are shown in lower case");
    assert_eq!(state["participants"][0]["group_id"], group);
    assert_eq!(state["participants"][1].get("group_id"), None, "unset values are absent");
    assert_eq!(state["groups"], json!([{"group_id": group, "total_time_ms": 5_000, "time_remaining_ms": 5_000}]));
    for (field, value) in [
        ("sync_mode", json!("per_group")),
        ("time_per_cycle_ms", json!(60_000)),
        ("increment_ms", json!(60_000)),
        ("max_time_ms", json!(HOUR)),
        ("metadata", given["metadata"].clone()),
        ("on_timeout", json!("notify")),
    ] {
        assert_eq!(state[field], value, "{field}");
    }
    assert_eq!(state.get("unknown"), None);
    assert_eq!(client.read(&id(1)).await, state);
}

#[tokio::test]
async fn a_session_lives_from_creation_to_deletion() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let path = format!("/v1/sessions/{}", id(1));
    let first = client.create(&two_players(&id(1), HOUR)).await;

    let mut before = first.clone();
    for (method, action, body, status, version, active) in [
        ("POST", "/start", json!({}), "running", 2, Some(0)),
        ("POST", "/switch", json!({}), "running", 3, Some(1)),
        ("POST", "/switch", json!({"next_participant_id": participant(1)}), "running", 4, Some(1)),
        ("POST", "/pause", json!({}), "paused", 5, Some(1)),
        ("PATCH", "", json!({"increment_ms": 2_000, "metadata": {"round": 2}}), "paused", 6, Some(1)),
        ("PATCH", "", json!({"increment_ms": 2_000}), "paused", 6, Some(1)),
        ("POST", "/resume", json!({}), "running", 7, Some(1)),
        ("POST", "/switch", json!({"current_participant_id": participant(1)}), "running", 8, Some(0)),
        ("POST", "/complete", json!({}), "completed", 9, None),
        ("POST", "/complete", json!({}), "completed", 9, None),
        ("POST", "/cancel", json!({}), "completed", 9, None),
        ("PATCH", "", json!({"metadata": null}), "completed", 10, None),
    ] {
        let answer = client.ask(method, &format!("{path}{action}"), &body.to_string()).await;
        let step = format!("{method} {action} {body}: {answer:?}");
        assert_eq!(answer.status, 200, "{step}");
        let read = client.ask("GET", &path, "").await;
        let state = read.json()["data"].take();
        assert_eq!(state["status"], status, "{step}");
        assert_eq!(state["version"], version, "{step}");
        assert_eq!(state["active_participant_id"], active.map_or(Value::Null, |n| participant(n).into()), "{step}");
        assert_eq!(answer.header("etag"), read.header("etag"), "the answer shows the state it made: {step}");
        assert_eq!(answer.header("etag"), Some(&*format!("\"{}.{version}\"", state["epoch"])), "{step}");
        if action == "/switch" {
            let result = json!({
                "session_id": id(1), "active_participant_id": state["active_participant_id"],
                "cycle_started_at": state["cycle_started_at"], "participants": state["participants"],
                "status": status, "version": version,
            });
            assert_eq!(answer.json()["data"], result, "{step}");
        } else {
            assert_eq!(answer.state(), read.state(), "{step}");
        }
        let unchanged = before["version"] == state["version"];
        assert_eq!(before == state, unchanged, "a version is a state: {step}");
        before = state;
    }
    assert_eq!(before["increment_ms"], 2_000);
    assert_eq!(before.get("metadata"), None);
    assert!(before["session_completed_at"].is_string());

    for found in [true, false] {
        let answer = client.ask("DELETE", &path, "").await;
        assert_eq!((answer.status, &*answer.body), (204, ""), "whether there was one or not: {found}");
        assert_eq!((answer.header("content-type"), answer.header("etag")), (None, None));
        let read = client.ask("GET", &path, "").await;
        assert_eq!((read.status, read.code()), (404, "SESSION_NOT_FOUND".to_owned()));
    }
    let second = client.create(&two_players(&id(1), HOUR)).await;
    assert_eq!(second["version"], 1);
    assert!(second["epoch"].as_u64() > first["epoch"].as_u64(), "{second} after {first}");
}

#[tokio::test]
async fn cancelling_ends_a_session_too() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    let state = client.post(&id(1), "cancel", &Value::Null).await;
    assert_eq!((&state["status"], &state["version"]), (&json!("cancelled"), &json!(2)));
    assert!(state["session_completed_at"].is_string(), "{state}");
}

#[tokio::test]
async fn a_switch_after_the_flag_is_late() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), 1_000)).await;
    client.post(&id(1), "start", &Value::Null).await;
    wait::until("the clock ran out", async || client.read(&id(1)).await["status"] == "expired").await;

    let result = client.post(&id(1), "switch", &Value::Null).await;
    assert_eq!(result["expired_participant_id"], participant(0), "{result}");
    assert_eq!(result["status"], "expired", "{result}");
    assert_eq!(result["version"], 3, "a late switch changes nothing: {result}");
    for field in ["active_participant_id", "cycle_started_at"] {
        assert_eq!(result.get(field), Some(&Value::Null), "{result}");
    }
}

/// The contract's table of errors, as far as this server alone can give them; the rest of it is in
/// `bad_input`, `conditional`, `limits` and `slow_clients`.
#[tokio::test]
async fn refusals_are_those_of_the_contract() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (n, steps) in [
        (1, &[][..]),
        (2, &["start"]),
        (3, &["start", "pause"]),
        (4, &["complete"]),
        (5, &["cancel"]),
        (6, &["start"]),
        (7, &["start"]),
    ] {
        let mut session = two_players(&id(n), if n > 5 { 1_000 } else { HOUR });
        session["on_timeout"] = if n == 7 { "advance" } else { "expire" }.into();
        session["participants"][1]["total_time_ms"] = HOUR.into();
        client.create(&session).await;
        for action in steps {
            client.post(&id(n), action, &Value::Null).await;
        }
    }
    let flagged = async || {
        let expired = client.read(&id(6)).await["status"] == "expired";
        expired && client.read(&id(7)).await["participants"][0]["has_expired"] == true
    };
    wait::until("both clocks ran out", flagged).await;

    let (missing, stranger) = (id(99), participant(9));
    let next = |who: &str| json!({"next_participant_id": who});
    let current = |who: &str| json!({"current_participant_id": who});
    let transition = |n: u64, what: &str, status: &str| json!({"code": "INVALID_STATE_TRANSITION", "message": format!("Session {} {what} (current status: {status})", id(n))});
    let not_found =
        || json!({"code": "SESSION_NOT_FOUND", "message": "Session 00000000-0000-4000-8000-000000000063 not found"});
    let invalid = |message: String| json!({"code": "VALIDATION_ERROR", "message": message});
    let conflict = |n: u64, actual: u64, details: Value| json!({"code": "CONFLICT", "message": format!("Session {} is at version {actual}", id(n)), "details": details});
    for (method, path, body, status, error) in [
        ("GET", missing.clone(), json!({}), 404, not_found()),
        ("PATCH", missing.clone(), json!({}), 404, not_found()),
        ("POST", format!("{missing}/start"), json!({}), 404, not_found()),
        ("POST", format!("{missing}/pause"), json!({}), 404, not_found()),
        ("POST", format!("{missing}/resume"), json!({}), 404, not_found()),
        ("POST", format!("{missing}/switch"), json!({}), 404, not_found()),
        ("POST", format!("{missing}/complete"), json!({}), 404, not_found()),
        ("POST", format!("{missing}/cancel"), json!({}), 404, not_found()),
        ("POST", id(1) + "/pause", json!({}), 400, transition(1, "cannot be paused", "pending")),
        ("POST", id(1) + "/resume", json!({}), 400, transition(1, "cannot be resumed", "pending")),
        ("POST", id(1) + "/switch", json!({}), 400, transition(1, "not running", "pending")),
        ("POST", id(2) + "/start", json!({}), 400, transition(2, "cannot be started", "running")),
        ("POST", id(2) + "/resume", json!({}), 400, transition(2, "cannot be resumed", "running")),
        ("POST", id(3) + "/start", json!({}), 400, transition(3, "cannot be started", "paused")),
        ("POST", id(3) + "/pause", json!({}), 400, transition(3, "cannot be paused", "paused")),
        ("POST", id(3) + "/switch", json!({}), 400, transition(3, "not running", "paused")),
        ("POST", id(4) + "/start", json!({}), 400, transition(4, "cannot be started", "completed")),
        ("POST", id(4) + "/switch", json!({}), 400, transition(4, "not running", "completed")),
        ("POST", id(5) + "/pause", json!({}), 400, transition(5, "cannot be paused", "cancelled")),
        ("POST", id(6) + "/resume", json!({}), 400, transition(6, "cannot be resumed", "expired")),
        (
            "POST",
            id(2) + "/switch",
            next(&stranger),
            400,
            invalid(format!("Participant {stranger} not found in session")),
        ),
        (
            "POST",
            id(7) + "/switch",
            next(&participant(0)),
            400,
            invalid(format!("Participant {} has expired", participant(0))),
        ),
        ("POST", id(2) + "/switch", current(&participant(1)), 409, conflict(2, 2, json!({"actual_version": 2}))),
        ("POST", id(2) + "/switch", current(&stranger), 409, conflict(2, 2, json!({"actual_version": 2}))),
        (
            "PATCH",
            id(2),
            json!({"expected_version": 1}),
            409,
            conflict(2, 2, json!({"actual_version": 2, "expected_version": 1})),
        ),
        (
            "POST",
            String::new(),
            two_players(&id(2), HOUR),
            409,
            json!({"code": "SESSION_EXISTS", "message": format!("Session {} already exists", id(2))}),
        ),
    ] {
        let path = format!("/v1/sessions/{path}");
        let path = path.trim_end_matches('/');
        let answer = client.ask(method, path, &body.to_string()).await;
        assert_eq!(answer.json(), json!({ "error": error }), "{method} {path} {body}");
        assert_eq!(answer.status, status, "{method} {path} {body}");
        assert_eq!(answer.header("content-type"), Some(JSON), "{method} {path} {body}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path} {body}");
        assert_eq!(answer.header("etag"), None, "{method} {path} {body}");
    }
    for (n, version) in [(1, 1), (2, 2), (3, 3), (4, 2), (5, 2), (6, 3), (7, 3)] {
        assert_eq!(client.read(&id(n)).await["version"], version, "a refusal changes nothing: {n}");
    }
}

#[tokio::test]
async fn a_final_session_takes_metadata_only() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "complete", &Value::Null).await;
    let path = format!("/v1/sessions/{}", id(1));
    let answer = client.ask("PATCH", &path, r#"{"metadata":{},"increment_ms":1}"#).await;
    assert_eq!((answer.status, answer.code()), (400, "INVALID_STATE_TRANSITION".to_owned()), "{answer:?}");
    assert_eq!(client.patch(&id(1), &json!({"metadata": {"winner": 1}})).await["metadata"], json!({"winner": 1}));
}

#[tokio::test]
async fn answers_have_the_headers_of_the_contract() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let path = format!("/v1/sessions/{}", id(1));
    client.create(&two_players(&id(1), HOUR)).await;
    let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_millis() as u64;
    for (method, path) in [
        ("GET", path.clone()),
        ("PATCH", path.clone()),
        ("POST", format!("{path}/start")),
        ("POST", format!("{path}/switch")),
        ("POST", format!("{path}/pause")),
        ("POST", format!("{path}/resume")),
        ("POST", format!("{path}/complete")),
        ("POST", format!("{path}/cancel")),
    ] {
        let earliest = since_1970();
        let answer = client.ask(method, &path, "").await;
        let latest = since_1970();
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some(JSON), "{method} {path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
        let state = answer.json();
        let tag = answer.header("etag").expect("a state has a tag").trim_matches('"');
        let (epoch, version) = tag.split_once('.').expect("an epoch and a version");
        assert_eq!(version, state["data"]["version"].to_string(), "{method} {path}");
        assert!(epoch.parse::<u64>().is_ok(), "{method} {path}: {tag}");
        let time = state["server_time_ms"].as_u64().expect("a time");
        assert!((earliest..=latest).contains(&time), "{method} {path}: {earliest} {time} {latest}");
    }
}

#[tokio::test]
async fn the_server_describes_itself() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let time = client.ask("GET", "/v1/time", "").await;
    let told = time.json();
    let expected = json!({"timestamp_ms": told["timestamp_ms"], "server_version": "2.0.0", "drift_tolerance_ms": 50});
    assert_eq!((time.status, &told), (200, &expected));
    assert_eq!(time.header("cache-control"), Some("no-store"));
    assert!(client.time_ms().await >= told["timestamp_ms"].as_u64().expect("a time"));

    for (path, body) in [("/health", r#"{"status":"ok"}"#), ("/ready", r#"{"status":"ready"}"#)] {
        let answer = client.ask("GET", path, "").await;
        assert_eq!((answer.status, &*answer.body, answer.header("content-type")), (200, body, Some(JSON)), "{path}");
    }
    let page = client.ask("GET", "/api-docs", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let docs = client.ask("GET", "/api-docs.json", "").await;
    assert_eq!((docs.status, docs.header("content-type")), (200, Some(JSON)));
    assert!(docs.json().is_object());
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    let with_head = resources().filter(|resource| resource.allow().contains("HEAD"));
    let mut paths: Vec<_> = with_head.map(|resource| resource.template().replace("{id}", &id(1))).collect();
    assert!(paths.len() >= 6, "{paths:?}");
    paths.extend([format!("/v1/sessions/{}", id(2)), "/v1/sessions/1".to_owned(), "/nowhere".to_owned()]);
    for path in paths {
        let described = |answer: Answer| {
            let (status, mut headers) = (answer.status, answer.headers);
            // What is counted changes with every request, and each has a name.
            headers.retain(|(name, _)| {
                name != "date" && name != "x-request-id" && !(path == "/metrics" && name == "content-length")
            });
            (status, headers)
        };
        let head = client.ask("HEAD", &path, "").await;
        // A body that came after all would stand where the next answer begins.
        assert_eq!(described(head), described(client.ask("GET", &path, "").await), "{path}");
    }
}

#[tokio::test]
async fn a_trailing_slash_and_a_query_change_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    let path = format!("/v1/sessions/{}", id(1));
    for (method, path, status) in [
        ("GET", format!("{path}/"), 200),
        ("GET", format!("{path}?a=b&expected_version=7"), 200),
        ("GET", format!("{path}/?"), 200),
        ("GET", path.to_uppercase().replace("/V1/SESSIONS", "/v1/sessions"), 200),
        ("GET", format!("{path}//"), 404),
        ("POST", format!("{path}/start/"), 200),
        ("POST", format!("{path}/switch?next_participant_id=nobody"), 200),
        ("GET", "/health/?x".to_owned(), 200),
        ("GET", "/v1/time/".to_owned(), 200),
        ("GET", "/ready?/".to_owned(), 200),
        ("DELETE", format!("{path}/?really=no"), 204),
    ] {
        let answer = client.ask(method, &path, "").await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    let created = client.ask("POST", "/v1/sessions/?x=y", &two_players(&id(2), HOUR).to_string()).await;
    assert_eq!(created.status, 201, "{created:?}");
}

#[tokio::test]
async fn a_wrong_method_gets_the_allowed_ones() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut refused = 0;
    for resource in resources() {
        let path = resource.template().replace("{id}", &id(1));
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "get"] {
            if resource.allow().split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = client.ask(method, &path, "").await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some(&*resource.allow())), "{method} {path}");
            assert_eq!(answer.header("content-type"), Some(JSON), "{method} {path}");
            if method != "HEAD" {
                assert_eq!(answer.code(), "METHOD_NOT_ALLOWED", "{method} {path}");
            }
            refused += 1;
        }
    }
    assert!(refused > 80, "only {refused} combinations were tried");
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let long = format!("/{}", "a".repeat(8_000));
    let unknown = [
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v2/sessions",
        "/V1/sessions",
        "/v1/session",
        "/v1/sessions//",
        "/v1/sessions/a/b",
        "/v1/sessions/a/start/b",
        "/v1/sessions/a/START",
        "/health/x",
        "/favicon.ico",
        "/../v1/time",
        "/v1%2Ftime",
        "/%00",
        "/v1/time;a",
        "*",
        &long,
    ];
    for path in unknown {
        for method in ["GET", "POST", "DELETE"] {
            let answer = client.ask(method, path, "").await;
            assert_eq!((answer.status, answer.code()), (404, "NOT_FOUND".to_owned()), "{method} {path}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some(JSON), "{method} {path}");
        }
    }
}

/// The whole conversation of one connection, one request after the other.
#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let server = Server::start().await;
    let mut client: Connection = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    for version in 3..103 {
        assert_eq!(client.post(&id(1), "switch", &Value::Null).await["version"], version);
    }
    let leave = async move { assert!(client.is_closed().await, "a server that stops closes what is idle") };
    tokio::join!(server.stop(), leave);
}
