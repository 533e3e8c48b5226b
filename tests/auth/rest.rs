//! REST with keys: 401 before 403, both before a body is read, and the same whether a session exists or not.

use serde_json::{Value, json};
use test_support::http::Answer;
use test_support::sessions::{id, participant, two_players};
use test_support::tokens::{Signer, api_key, claims};

use super::{Guarded, ask, backend, now_s};

const HOUR: u64 = 3_600_000;

/// Everything that a session can be asked for, what allows it, and what it comes to.
fn operations(id: &str) -> Vec<(&'static str, String, Value, &'static str, u16)> {
    let path = |action: &str| format!("/v1/sessions/{id}{action}");
    vec![
        ("POST", "/v1/sessions".to_owned(), two_players(id, HOUR), "create", 201),
        ("GET", path(""), Value::Null, "read", 200),
        ("HEAD", path(""), Value::Null, "read", 200),
        ("PATCH", path(""), json!({"metadata": {"a": 1}}), "patch", 200),
        ("PATCH", path(""), json!({"metadata": {"a": 2}, "expected_version": 2}), "patch:metadata", 200),
        ("POST", path("/start"), Value::Null, "start", 200),
        ("POST", path("/switch"), Value::Null, "switch", 200),
        ("POST", path("/pause"), Value::Null, "pause", 200),
        ("POST", path("/resume"), Value::Null, "resume", 200),
        ("GET", path("/events"), Value::Null, "events", 404),
        ("POST", path("/complete"), Value::Null, "complete", 200),
        ("POST", path("/cancel"), Value::Null, "cancel", 200),
        ("DELETE", path(""), Value::Null, "delete", 204),
    ]
}

#[tokio::test]
async fn each_operation_needs_its_permission_and_no_other() {
    let guarded = Guarded::start().await;
    let (here, all) = (id(1), operations(&id(1)));
    let others = |permission: &str| {
        let names = all.iter().map(|(.., name, _)| *name).chain(["watch", "presence", "list", "metrics", "admin"]);
        // What allows more than that is no other one.
        let is_other = |name: &&str| *name != permission && !(permission == "patch:metadata" && *name == "patch");
        let is_part = |name: &&str| !(permission == "patch" && *name == "patch:metadata");
        names.filter(is_other).filter(is_part).collect::<Vec<_>>()
    };
    for (method, path, body, permission, status) in &all {
        let what = format!("{method} {path} {permission}");
        let without = guarded.bearer("without", &json!([{"sessions": [here], "allow": others(permission)}]));
        let elsewhere = guarded.bearer("elsewhere", &json!([{"sessions": [id(2)], "allow": ["*"]}]));
        for bearer in [without, elsewhere] {
            let answer = ask(&guarded.server, &bearer, method, path, body).await;
            assert_eq!(answer.status, 403, "{what}: {answer:?}");
            if *method != "HEAD" {
                let needs = permission.split(':').next().expect("a text has a beginning");
                assert_eq!(answer.json()["error"]["details"], json!({"needs": needs}), "{what}");
                assert_eq!(answer.code(), "FORBIDDEN", "{what}");
            }
        }
        let nobody = guarded.server.connect().await.ask(method, path, &body.to_string()).await;
        assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")), "{what}");
        let with = guarded.bearer("with", &json!([{"sessions": [here], "allow": [permission]}]));
        assert_eq!(ask(&guarded.server, &with, method, path, body).await.status, *status, "{what}");
    }
}

#[tokio::test]
async fn a_key_may_do_what_its_file_says() {
    let guarded = Guarded::start().await;
    for (method, path, body, permission, status) in operations(&id(1)) {
        let answer = ask(&guarded.server, &backend(), method, &path, &body).await;
        assert_eq!(answer.status, status, "{permission}: {answer:?}");
    }
    for path in ["/metrics", "/v1/time", "/ready"] {
        assert_eq!(ask(&guarded.server, &backend(), "GET", path, &Value::Null).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_credential_is_told_apart_by_its_code_alone() {
    let guarded = Guarded::start().await;
    let grants = json!([{"sessions": ["*"], "allow": ["*"]}]);
    let expired = format!("Bearer {}", guarded.token("somebody", now_s() - 60, &grants));
    let forged = format!("Bearer {}", Signer::hs256(1).token("k1", &claims("somebody", now_s() + 60, &grants)));
    let unknown = format!("Bearer {}", guarded.signer.token("k2", &claims("somebody", now_s() + 60, &grants)));
    let (key, _) = api_key("backend");
    let invalid = Some("Bearer error=\"invalid_token\"");
    for (authorization, code, challenge) in [
        ("", "UNAUTHENTICATED", Some("Bearer")),
        ("Basic YTpi", "UNAUTHENTICATED", Some("Bearer")),
        ("Bearer", "INVALID_TOKEN", invalid),
        ("Bearer nonsense", "INVALID_TOKEN", invalid),
        (&format!("Bearer  {key}"), "INVALID_TOKEN", invalid),
        (&format!("Bearer {key},"), "INVALID_TOKEN", invalid),
        (&format!("Bearer {key} {key}"), "INVALID_TOKEN", invalid),
        (&format!("Bearer {}", &key[..key.len() - 1]), "INVALID_TOKEN", invalid),
        (&format!("Bearer {}", api_key("other").0), "INVALID_TOKEN", invalid),
        // The right name with another's secret, and the right secret under another name.
        (&format!("Bearer {}", api_key("other").0.replacen("_other_", "_backend_", 1)), "INVALID_TOKEN", invalid),
        (&format!("Bearer {}", key.replacen("_backend_", "_other_", 1)), "INVALID_TOKEN", invalid),
        (&forged, "INVALID_TOKEN", invalid),
        (&unknown, "INVALID_TOKEN", invalid),
        (&expired, "TOKEN_EXPIRED", invalid),
    ] {
        let answer = ask(&guarded.server, authorization, "GET", "/v1/time", &Value::Null).await;
        assert_eq!((answer.status, &*answer.code()), (401, code), "{authorization}");
        assert_eq!(answer.header("www-authenticate"), challenge, "{authorization}");
        assert!(!answer.body.contains("nonsense") && !answer.body.contains(&key), "{answer:?}");
    }
    let mut client = guarded.server.connect().await;
    let bearer = backend();
    for headers in [
        &[("x-api-key", &*key)][..],
        &[("cookie", &*format!("token={key}"))],
        &[("authorization", &*bearer), ("authorization", &*bearer)],
    ] {
        assert_eq!(client.ask_with("GET", "/v1/time", headers, "").await.status, 401, "{headers:?}");
    }
    assert_eq!(client.ask("GET", &format!("/v1/time?access_token={key}"), "").await.status, 401);
    let lower = bearer.replace("Bearer", "bearer");
    assert_eq!(client.ask_with("GET", "/v1/time", &[("authorization", &lower)], "").await.status, 200);
}

/// But for what is of each answer alone.
fn told(answer: &Answer) -> (u16, &str, Vec<&(String, String)>) {
    let headers = answer.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&&*name.to_lowercase()));
    (answer.status, &answer.body, headers.collect())
}

#[tokio::test]
async fn nothing_is_said_of_whether_a_session_exists() {
    let guarded = Guarded::start().await;
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(&id(1), HOUR)).await;
    let bearer = guarded.bearer("somebody", &json!([{"sessions": [id(3)], "allow": ["*"]}]));
    for (method, action) in [("GET", ""), ("POST", "/switch"), ("PATCH", ""), ("DELETE", ""), ("GET", "/events")] {
        for bearer in [&bearer, "Bearer nonsense", ""] {
            let ask_of = async |n| {
                ask(&guarded.server, bearer, method, &format!("/v1/sessions/{}{action}", id(n)), &json!({})).await
            };
            let (there, nowhere) = (ask_of(1).await, ask_of(2).await);
            assert_eq!(told(&there), told(&nowhere), "{method} {action}");
            assert!(there.status == 401 || there.status == 403, "{there:?}");
        }
    }
}

#[tokio::test]
async fn strangers_are_refused_before_their_bodies_are_read() {
    let guarded = Guarded::start().await;
    let somebody = guarded.bearer("somebody", &json!([{"sessions": [id(2)], "allow": ["*"]}]));
    let path = format!("/v1/sessions/{}/switch", id(1));
    for (path, authorization, status) in [
        ("/v1/sessions", "Bearer nonsense", 401),
        ("/v1/revocations", "Bearer nonsense", 401),
        ("/v1/revocations", &*somebody, 403),
        (&*path, "Bearer nonsense", 401),
        (&path, &somebody, 403),
    ] {
        for body in [
            "content-length: 1048576\r\nexpect: 100-continue\r\n\r\n",
            "transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n",
            "content-length: 1048576\r\n\r\n{",
            "transfer-encoding: chunked\r\n\r\n100000\r\n{",
        ] {
            let mut client = guarded.server.connect().await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\nauthorization: {authorization}\r\n{body}");
            client.send(head.as_bytes()).await;
            let answer = client.answer(false).await.expect("it is answered");
            let found = (answer.status, answer.header("connection"));
            assert_eq!(found, (status, Some("close")), "{path}: {body}: {answer:?}");
            assert!(client.is_closed().await, "and nothing more is read");
        }
    }
}

#[tokio::test]
async fn what_a_body_asks_for_is_judged_with_the_body() {
    let guarded = Guarded::start().await;
    let grants = json!([{"sessions": [id(1)], "as": [participant(0)],
        "allow": ["create", "patch:metadata", "switch:own", "delete"]}]);
    let bearer = guarded.bearer("somebody", &grants);
    let status = async |method, path: &str, body: Value| {
        let answer = ask(&guarded.server, &bearer, method, path, &body).await;
        (answer.status, if answer.body.is_empty() { String::new() } else { answer.code() })
    };
    let forbidden = (403, "FORBIDDEN".to_owned());
    assert_eq!(status("POST", "/v1/sessions", two_players(&id(2), HOUR)).await, forbidden, "another id than granted");
    assert_eq!(status("POST", "/v1/sessions", json!({})).await.1, "VALIDATION_ERROR", "what is wrong goes first");
    assert_eq!(status("POST", "/v1/sessions", two_players(&id(1), HOUR)).await.0, 201);
    let path = format!("/v1/sessions/{}", id(1));
    assert_eq!(status("PATCH", &path, json!({"metadata": {"a": 1}})).await.0, 200);
    for settings in [json!({"increment_ms": 1_000}), json!({"metadata": {}, "on_timeout": null})] {
        assert_eq!(status("PATCH", &path, settings).await, forbidden);
    }
    assert_eq!(status("DELETE", &format!("{path}?history=1"), Value::Null).await, forbidden, "that needs admin");
    assert_eq!(status("DELETE", &path, Value::Null).await.0, 204);
}

#[tokio::test]
async fn paths_lead_to_one_session_however_they_are_written() {
    let guarded = Guarded::start().await;
    let session = "abcdef00-0000-4000-8000-000000000001";
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(session, HOUR)).await;
    let bearer = guarded.bearer("somebody", &json!([{"sessions": [session], "allow": ["read"]}]));
    let other = guarded.bearer("somebody", &json!([{"sessions": ["bbcdef00*"], "allow": ["read"]}]));
    for (path, status, of_other) in [
        (session.to_owned(), 200, 403),
        (session.to_uppercase(), 200, 403),
        (format!("{session}/"), 200, 403),
        (format!("%61{}", &session[1..]), 400, 400),
        (format!("{session};x"), 400, 400),
        (format!("{session}//"), 404, 404),
        (format!("../sessions/{session}"), 404, 404),
        (format!("%2e%2e/sessions/{session}"), 404, 404),
        (format!("./{session}"), 404, 404),
        (format!("%2f{session}"), 400, 400),
        (format!("/{session}"), 404, 404),
        (format!("{session}?sessionId=00000000-0000-4000-8000-000000000001"), 200, 403),
    ] {
        let path = format!("/v1/sessions/{path}");
        assert_eq!(ask(&guarded.server, &bearer, "GET", &path, &Value::Null).await.status, status, "{path}");
        assert_eq!(ask(&guarded.server, &other, "GET", &path, &Value::Null).await.status, of_other, "{path}");
        assert_eq!(ask(&guarded.server, &bearer, "HEAD", &path, &Value::Null).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn some_paths_are_open_and_others_are_for_keys_alone() {
    let guarded = Guarded::start().await;
    let bearer = guarded.bearer("somebody", &json!([{"sessions": ["*"], "allow": ["*", "metrics", "admin"]}]));
    for (path, of_nobody, of_somebody) in [
        ("/health", 200, 200),
        ("/ready", 200, 200),
        ("/api-docs", 200, 200),
        ("/api-docs.json", 200, 200),
        ("/v1/time", 401, 200),
        ("/metrics", 401, 403),
        ("/nowhere", 404, 404),
        ("/v1/sessions", 405, 405),
    ] {
        let nobody = guarded.server.connect().await.ask("GET", path, "").await;
        assert_eq!(nobody.status, of_nobody, "{path}: {nobody:?}");
        assert_eq!(ask(&guarded.server, &bearer, "GET", path, &Value::Null).await.status, of_somebody, "{path}");
        assert_eq!(guarded.server.connect().await.ask("OPTIONS", path, "").await.status, 204, "{path}");
    }
}

#[tokio::test]
async fn limits_count_who_asks_and_not_from_where() {
    let settings = [("RATE_LIMIT_GENERAL", "2"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let guarded = Guarded::start_with(&settings, &json!({})).await;
    let grants = json!([{"sessions": ["*"], "allow": ["*"]}]);
    let status = async |bearer: &str, address: &str| {
        let headers = [("authorization", bearer), ("x-forwarded-for", address)];
        guarded.server.connect().await.ask_with("GET", "/v1/time", &headers, "").await.status
    };
    let one = guarded.bearer("one", &grants);
    let mut statuses = Vec::new();
    for n in 0..300 {
        statuses.push(status(&one, &format!("192.0.{}.{}", n / 250, n % 250)).await);
    }
    assert_eq!(statuses[..2], [200; 2], "one subject at many addresses is one");
    assert_eq!(statuses[2..], [429; 298]);
    for n in 0..300 {
        let bearer = guarded.bearer(&format!("other-{n}"), &grants);
        assert_eq!(status(&bearer, "198.51.100.1").await, 200, "many subjects at one address are many");
        assert_eq!(status(&backend(), "198.51.100.1").await, 200, "a key is not counted");
    }
    for of_one in [["203.0.113.1"; 3], ["2001:db8:1:2::1", "2001:db8:1:2:f::", "[2001:db8:1:2::3]:4711"]] {
        let mut statuses = Vec::new();
        for address in of_one {
            statuses.push(status("Bearer nonsense", address).await);
        }
        assert_eq!(statuses, [401, 401, 429], "nobody is an address, of which a /64 is one: {of_one:?}");
    }
    assert_eq!(status("Bearer nonsense", "2001:db8:1:3::1").await, 401, "and the next /64 is another");
}
