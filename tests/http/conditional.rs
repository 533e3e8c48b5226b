//! Conditional requests: which are carried out, which conflict, and what a conflict leaves behind.

use serde_json::{Value, json};
use synckairos::engine::{Command, Millis, Patch, Precondition, Refusal, Status};
use synckairos::sessions::{CommandRequest, Failure};

use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::still::Still;

const HOUR: u64 = 3_600_000;

/// A session in a status from which `action` leads on, and its tag.
async fn session(client: &mut Connection, n: u64, action: &str) -> (String, String) {
    client.create(&two_players(&id(n), HOUR)).await;
    let steps: &[&str] = match action {
        "/start" => &[],
        "/resume" => &["start", "pause"],
        _ => &["start"],
    };
    for step in steps {
        client.post(&id(n), step, &Value::Null).await;
    }
    let path = format!("/v1/sessions/{}", id(n));
    let tag = client.ask("GET", &path, "").await.header("etag").expect("a state has a tag").to_owned();
    (path, tag)
}

fn assert_conflict(answer: &Answer, actual: u64, expected: Option<u64>, what: &str) {
    let mut details = json!({ "actual_version": actual });
    if let Some(expected) = expected {
        details["expected_version"] = expected.into();
    }
    assert_eq!((answer.status, answer.code()), (409, "CONFLICT".to_owned()), "{what}: {answer:?}");
    assert_eq!(answer.json()["error"]["details"], details, "{what}");
}

#[tokio::test]
async fn if_match_is_asked_of_every_change() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let changes = [
        ("PATCH", "", r#"{"increment_ms":1}"#),
        ("POST", "/start", ""),
        ("POST", "/pause", ""),
        ("POST", "/resume", ""),
        ("POST", "/switch", ""),
        ("POST", "/complete", ""),
        ("POST", "/cancel", ""),
        ("DELETE", "", ""),
    ];
    for (n, (method, action, body)) in (0..).zip(changes) {
        let (path, tag) = session(&mut client, n, action).await;
        let before = client.ask("GET", &path, "").await;
        let (epoch, version) = tag.trim_matches('"').split_once('.').expect("an epoch and a version");
        let version: u64 = version.parse().expect("a version is a number");
        let target = format!("{path}{action}");
        for refused in [
            format!("w/{tag}"),
            format!("W/\"{epoch}.{}\"", version - 1),
            format!("\"{epoch}.{}\"", version - 1),
            format!("\"{epoch}.{}\"", version + 1),
            format!("\"1.{version}\""),
            format!("\"{epoch}.0{version}\""),
            format!("{epoch}.{version}"),
            version.to_string(),
            format!("\"{version}\""),
            String::new(),
            "\"\"".to_owned(),
            "\u{fffd}".to_owned(),
        ] {
            let answer = client.ask_with(method, &target, &[("If-Match", &refused)], body).await;
            assert_conflict(&answer, version, None, &format!("{method} {target} If-Match: {refused}"));
            assert_eq!(client.ask("GET", &path, "").await.state(), before.state(), "{method} {target} {refused}");
        }
        let answer = client.ask_with(method, &target, &[("If-Match", &tag)], body).await;
        assert!(answer.status < 300, "{method} {target} If-Match: {tag}: {answer:?}");
        let answer = client.ask_with(method, &target, &[("If-Match", &tag)], body).await;
        if method == "DELETE" {
            assert_eq!(answer.status, 204, "what is gone is gone");
        } else {
            assert_conflict(&answer, version + 1, None, &format!("{method} {target}, the second time"));
        }
    }
}

#[tokio::test]
async fn if_match_can_name_several_states() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let (path, _) = session(&mut client, 1, "").await;
    for n in 0..5 {
        let tag = client.ask("GET", &path, "").await.header("etag").expect("a state has a tag").to_owned();
        let weak_then_right = format!("W/{tag}, {tag}");
        let headers = match n {
            0 => vec![("If-Match", "*")],
            1 => vec![("If-Match", "\"1.1\""), ("If-Match", &*tag)],
            2 => vec![("if-match", &*weak_then_right)],
            3 => vec![("IF-MATCH", " \"1.1\" ,, *")],
            _ => vec![("If-Match", "\"1.1\", \"2.2\""), ("If-Match", "W/\"3.3\"")],
        };
        let answer = client.ask_with("POST", &format!("{path}/switch"), &headers, "").await;
        assert_eq!(answer.status, if n < 4 { 200 } else { 409 }, "{headers:?}: {answer:?}");
    }
}

#[tokio::test]
async fn expected_version_is_asked_of_patch_and_switch() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let (path, tag) = session(&mut client, 1, "").await;
    let before = client.ask("GET", &path, "").await;
    let switch = format!("{path}/switch");
    for (method, target) in [("PATCH", &path), ("POST", &switch)] {
        for expected in [1, 3, 9_007_199_254_740_991] {
            let body = json!({"expected_version": expected}).to_string();
            let what = format!("{method} {body}");
            assert_conflict(&client.ask(method, target, &body).await, 2, Some(expected), &what);
            let both = client.ask_with(method, target, &[("If-Match", &tag)], &body).await;
            assert_conflict(&both, 2, Some(expected), &format!("{what} with an If-Match that holds"));
        }
        let answer = client.ask_with(method, target, &[("If-Match", "\"1.1\"")], r#"{"expected_version":2}"#).await;
        assert_conflict(&answer, 2, Some(2), &format!("{method} with an If-Match that does not hold"));
        for wrong in ["0", "-1", "1.5", "\"2\"", "null", "9007199254740992", "[2]"] {
            let answer = client.ask(method, target, &format!("{{\"expected_version\":{wrong}}}")).await;
            assert_eq!((answer.status, answer.code()), (400, "VALIDATION_ERROR".to_owned()), "{method} {wrong}");
            assert_eq!(answer.json()["error"]["details"][0]["field"], "expected_version", "{method} {wrong}");
        }
    }
    assert_eq!(client.ask("GET", &path, "").await.state(), before.state());

    let who = participant(0);
    for (method, target, body, version) in [
        ("POST", &switch, json!({"expected_version": 2, "current_participant_id": who}), 3),
        ("PATCH", &path, json!({"expected_version": 3.0, "increment_ms": 5}), 4),
        ("PATCH", &path, json!({"expected_version": 4}), 4),
    ] {
        let answer = client.ask_with(method, target, &[("If-Match", "*")], &body.to_string()).await;
        assert_eq!((answer.status, &answer.json()["data"]["version"]), (200, &json!(version)), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn if_none_match_saves_the_body() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let (path, tag) = session(&mut client, 1, "").await;
    for (value, is_known) in [
        (tag.clone(), true),
        (format!("W/{tag}"), true),
        (format!("\"1.1\", {tag}"), true),
        ("*".to_owned(), true),
        ("\"1.1\"".to_owned(), false),
        (tag.trim_matches('"').to_owned(), false),
        (String::new(), false),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = client.ask_with(method, &path, &[("If-None-Match", &value)], "").await;
            assert_eq!(answer.status, if is_known { 304 } else { 200 }, "{method} {value}: {answer:?}");
            assert_eq!(answer.header("etag"), Some(&*tag), "{method} {value}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {value}");
        }
    }
    client.post(&id(1), "switch", &Value::Null).await;
    let answer = client.ask_with("GET", &path, &[("If-None-Match", &tag)], "").await;
    assert_eq!((answer.status, &answer.json()["data"]["version"]), (200, &json!(3)));
    let missing = format!("/v1/sessions/{}", id(2));
    assert_eq!(client.ask_with("GET", &missing, &[("If-None-Match", "*")], "").await.status, 404);
}

/// No agent fires the flag here, so it is the refused request itself that finds it due.
#[tokio::test]
async fn a_flag_that_was_due_is_kept_when_a_precondition_fails() {
    let still = Still::new();
    let name = still.create(&two_players(&id(1), 1_000)).await;
    still.carry_out(name, &[Command::Start]).await;
    let deadline = still.now() + Millis::new(1_000);
    still.pass(1_500);
    let before = still.stored(name).await;
    assert_eq!((before.status, before.version), (Status::Running, 2), "nobody has noticed yet");

    let patch = Patch { increment: Some(Millis::new(1)), ..Patch::default() };
    let precondition = Precondition { one_of: None, version: Some(1) };
    let reply = still
        .ask(
            name,
            CommandRequest {
                command: Command::Patch(patch),
                merge: None,
                precondition,
                ..CommandRequest::from(Command::Settle)
            },
        )
        .await;
    let conflict = Refusal::Conflict { actual_version: 3, expected_version: Some(1) };
    match reply.result {
        Err(Failure::Refused(whose, refusal)) => assert_eq!((whose, refusal), (name, conflict)),
        other => panic!("not a conflict: {other:?}"),
    }
    let after = still.stored(name).await;
    let session = &after;
    assert_eq!((session.status, session.version, session.increment), (Status::Expired, 3, Millis::ZERO));
    assert_eq!(session.completed_at, Some(deadline), "it is recorded at the deadline");
    assert_eq!(session.participants[0].expired_at, Some(deadline));
}

/// What a change would make of the metadata is looked at after what the caller believes.
#[tokio::test]
async fn a_conflict_goes_before_metadata_that_would_be_too_long() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let (path, _) = session(&mut client, 1, "/start").await;
    let half = format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(3_000));
    assert_eq!(client.ask("PATCH", &path, &half).await.status, 200);
    let other = format!(r#"{{"metadata":{{"b":"{}"}},"expected_version":VERSION}}"#, "x".repeat(3_000));
    for (version, status, code) in [("1", 409, "CONFLICT"), ("2", 400, "VALIDATION_ERROR")] {
        let answer = client.ask("PATCH", &path, &other.replace("VERSION", version)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.body);
    }
}
