//! Idempotency-Key: a request that is sent again has the answer of its kind, and changes nothing.

use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

const HOUR: u64 = 3_600_000;

async fn send(client: &mut Connection, key: &str, method: &str, path: &str, body: &str) -> Answer {
    client.ask_with(method, path, &[("Idempotency-Key", key)], body).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

#[tokio::test]
async fn each_change_is_made_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let path = format!("/v1/sessions/{}", id(1));
    let body = two_players(&id(1), HOUR).to_string();
    let changes = [
        ("POST", "/v1/sessions".to_owned(), &*body, 201),
        ("PATCH", path.clone(), r#"{"increment_ms": 1000, "metadata": {"a": 1}}"#, 200),
        ("POST", format!("{path}/start"), "", 200),
        ("POST", format!("{path}/switch"), "{}", 200),
        ("POST", format!("{path}/pause"), "{}", 200),
        ("POST", format!("{path}/resume"), "", 200),
        ("POST", format!("{path}/complete"), "", 200),
        ("DELETE", path.clone(), "", 204),
    ];
    for (n, (method, path, body, status)) in (10..).zip(&changes) {
        let first = send(&mut client, &id(n), method, path, body).await;
        assert_eq!((first.status, is_replayed(&first)), (*status, false), "{method} {path}: {first:?}");
        let again = send(&mut client, &id(n), method, path, body).await;
        assert_eq!((again.status, is_replayed(&again)), (*status, true), "{method} {path}: {again:?}");
        if *status != 204 {
            assert_eq!(again.json()["data"], first.json()["data"], "{method} {path}");
            assert_eq!(again.header("etag"), first.header("etag"), "{method} {path}");
        }
    }
    let late = send(&mut client, &id(10), "POST", "/v1/sessions", &body).await;
    assert_eq!((late.status, is_replayed(&late), late.code()), (404, true, "SESSION_NOT_FOUND".to_owned()));
}

/// As a client that sends again before it has an answer, and over both protocols.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_race_with_one_key_one_makes_the_change() {
    let server = Server::start().await;
    let path = format!("/v1/sessions/{}", id(1));
    let create = two_players(&id(1), HOUR).to_string();
    for (n, (method, path, body, status)) in (10..).zip([
        ("POST", "/v1/sessions".to_owned(), &*create, 201),
        ("POST", format!("{path}/start"), "", 200),
        ("POST", format!("{path}/switch"), "{}", 200),
        ("PATCH", path.clone(), r#"{"metadata":{"a":1}}"#, 200),
        ("DELETE", path.clone(), "", 204),
    ]) {
        let mut watchers = Vec::new();
        if path.ends_with("/switch") {
            for _ in 0..8 {
                watchers.push(Client::join(server.address(), &id(1)).await);
            }
        }
        let key = id(n);
        let requests = (0..32).map(async |_| {
            let answer = send(&mut server.connect().await, &key, method, &path, body).await;
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
            is_replayed(&answer)
        });
        let orders = watchers.iter_mut().map(async |client| {
            let result = client.order(json!({"type": "SWITCH", "request_id": "a", "idempotency_key": key})).await;
            assert_eq!((&result["status"], &result["data"]["version"]), (&json!(200), &json!(3)), "{result}");
            result["replayed"] == true
        });
        let (requests, orders) = tokio::join!(join_all(requests), join_all(orders));
        let made = requests.into_iter().chain(orders).filter(|is_replayed| !is_replayed).count();
        assert_eq!(made, 1, "{method} {path}");
    }
}

#[tokio::test]
async fn a_key_names_one_request() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    let (path, key) = (format!("/v1/sessions/{}", id(1)), id(7));
    let first = send(&mut client, &key, "PATCH", &path, r#"{"metadata":{"a":"é","b":[1]}}"#).await;
    assert_eq!(first.status, 200, "{first:?}");
    let spaced = " { \"metadata\" : {\"a\":\"\\u00e9\", \"b\": [ 1 ] } } ";
    assert!(
        is_replayed(&send(&mut client, &key, "PATCH", &path, spaced).await),
        "it is the same however it is written"
    );
    let other = send(&mut client, &key, "PATCH", &path, r#"{"metadata":{"a":"e"}}"#).await;
    assert_eq!((other.status, other.code(), is_replayed(&other)), (422, "IDEMPOTENCY_MISMATCH".to_owned(), false));
    let started = send(&mut client, &key, "POST", &format!("{path}/start"), "").await;
    assert_eq!((started.status, is_replayed(&started)), (200, false), "another command is another request");
    client.create(&two_players(&id(2), HOUR)).await;
    let started = send(&mut client, &key, "POST", &format!("/v1/sessions/{}/start", id(2)), "").await;
    assert_eq!((started.status, is_replayed(&started)), (200, false), "and so is another session's");
}

#[tokio::test]
async fn what_was_refused_is_judged_again() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    let path = format!("/v1/sessions/{}", id(1));
    let pause = format!("{path}/pause");
    assert_eq!(send(&mut client, &id(7), "POST", &pause, "").await.code(), "INVALID_STATE_TRANSITION");
    client.post(&id(1), "start", &Value::Null).await;
    let paused = send(&mut client, &id(7), "POST", &pause, "").await;
    assert_eq!((paused.status, is_replayed(&paused)), (200, false));
    let stale = [("Idempotency-Key", &*id(8)), ("If-Match", "\"1.1\"")];
    assert_eq!(client.ask_with("POST", &format!("{path}/resume"), &stale, "").await.code(), "CONFLICT");
    let replayed = [("Idempotency-Key", &*id(7)), ("If-Match", "\"1.1\"")];
    assert!(
        is_replayed(&client.ask_with("POST", &pause, &replayed, "").await),
        "it was made: nothing is left to match"
    );
}

#[tokio::test]
async fn a_key_must_be_one() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let body = two_players(&id(1), HOUR).to_string();
    for wrong in ["", "7", "order 7", "550e8400-e29b-41d4-a716"] {
        let answer = send(&mut client, wrong, "POST", "/v1/sessions", &body).await;
        assert_eq!((answer.status, answer.code()), (400, "VALIDATION_ERROR".to_owned()), "{wrong:?}");
        let problem = &answer.json()["error"]["details"][0];
        assert_eq!((&problem["field"], &problem["code"]), (&json!("Idempotency-Key"), &json!("invalid_format")));
    }
    let twice = [("Idempotency-Key", &*id(7)), ("Idempotency-Key", &*id(8))];
    assert_eq!(client.ask_with("POST", "/v1/sessions", &twice, &body).await.status, 400);
    assert_eq!(client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await.status, 404, "nothing was made");
    let quoted = send(&mut client, &format!("\"{}\"", id(7)), "POST", "/v1/sessions", &body).await;
    assert_eq!(quoted.status, 201);
    assert!(is_replayed(&send(&mut client, &id(7), "POST", "/v1/sessions", &body).await), "quotes do not belong to it");
    let path = format!("/v1/sessions/{}", id(1));
    assert_eq!(send(&mut client, "7", "GET", &path, "").await.status, 200, "a read has no use for it");
}
