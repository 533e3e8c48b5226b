//! Real answers, held against their description: every one that a server gives here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::tokens::{Signer, api_key, claims};
use test_support::ws::Client;

use super::schema::{faults, resolve};
use super::{codes, served};

/// Asks a server, and holds what it answers against the description.
struct Reader {
    address: SocketAddr,
    http: Connection,
    document: Value,
    /// The codes of the errors that were met.
    met: BTreeSet<String>,
}

impl Reader {
    async fn of(server: &Server) -> Self {
        let address = server.address();
        Self { address, http: Connection::open(address).await, document: served(server).await, met: BTreeSet::new() }
    }

    /// Asks for a path, with `{id}` for the first session.
    async fn ask(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_with(method, path, &id(1), &[], &body.to_string()).await
    }

    async fn ask_with(&mut self, method: &str, path: &str, id: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.http.ask_with(method, &path.replace("{id}", id), headers, body).await;
        self.check(method, path, &answer);
        if answer.header("connection") == Some("close") {
            self.http = Connection::open(self.address).await;
        }
        answer
    }

    fn is_said_of_any(&self, answer: &Answer) -> bool {
        let text = self.document["info"]["description"].as_str().expect("text");
        text.contains(&format!("{} `{}`", answer.status, answer.code()))
    }

    /// Holds an answer against what is said of its operation, or of what leads to none.
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let responses = &self.document["paths"][path][method.to_lowercase()]["responses"];
        let status = answer.status.to_string();
        let what = format!("{method} {path}: {answer:?}");
        let led_nowhere = ["NOT_FOUND", "METHOD_NOT_ALLOWED"];
        if method != "HEAD" && answer.status >= 400 && led_nowhere.contains(&&*answer.code()) {
            assert!(self.is_said_of_any(answer), "not described: {what}");
            self.met.insert(answer.code());
            return;
        }
        let response = responses.get(&status).unwrap_or_else(|| panic!("not described: {what}"));
        let response = resolve(&self.document, response);
        let is_said = |code: &str| response["description"].as_str().expect("text").contains(&format!("`{code}`"));
        if answer.status >= 400 && method != "HEAD" {
            assert!(is_said(&answer.code()), "not described: {what}");
            self.met.insert(answer.code());
        }
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = resolve(&self.document, header);
            let value = match answer.header(name) {
                Some(value) => value,
                None if header["required"] == false => continue,
                None => panic!("without {name}: {what}"),
            };
            let schema = &header["schema"];
            let number = (schema["type"] == "integer").then(|| value.parse().ok()).flatten().map(|n: u64| json!(n));
            let found = faults(&self.document, schema, &number.unwrap_or_else(|| value.into()));
            assert!(found.is_empty(), "{name}: {found:?}: {what}");
        }
        match &response["content"] {
            Value::Null => assert_eq!(answer.body, "", "{what}"),
            content => {
                let found = faults(&self.document, &content["application/json"]["schema"], &answer.json());
                assert!(found.is_empty(), "{found:?}: {what}");
            }
        }
    }
}

const LIMITS: [(&str, &str); 2] = [("RATE_LIMIT_GENERAL", "1000"), ("RATE_LIMIT_SWITCH", "1000")];
const SESSION: &str = "/v1/sessions/{id}";

/// A session that has everything that a session can have.
fn everything(id: &str) -> Value {
    let mut body = two_players(id, 60_000);
    let group = participant(7);
    body["sync_mode"] = "per_group".into();
    body["participants"][0]["group_id"] = group.clone().into();
    for (name, value) in [
        ("time_per_cycle_ms", json!(5_000)),
        ("increment_ms", json!(100)),
        ("max_time_ms", json!(70_000)),
        ("metadata", json!({"any": ["thing", null, 1.5]})),
        ("on_timeout", json!("advance")),
        ("warn_at_ms", json!([10_000, 1])),
        ("groups", json!([{"group_id": group, "total_time_ms": 90_000}])),
    ] {
        body[name] = value;
    }
    body
}

#[tokio::test]
async fn of_sessions_are_as_described() {
    let server = Server::start_with(&LIMITS).await;
    let mut reader = Reader::of(&server).await;
    let created = reader.ask("POST", "/v1/sessions", &everything(&id(1))).await;
    assert_eq!(created.status, 201);
    let schema = &reader.document["components"]["schemas"]["State"]["properties"];
    let state = &created.json()["data"];
    // Nothing has gone on by itself yet, and there is no time control.
    let elsewhere = ["unattended_turns", "time_controls", "turn_used_ms", "clock"];
    let shown = |name: &String| elsewhere.contains(&&**name) || state.get(name).is_some();
    assert!(schema.as_object().expect("fields").keys().all(shown), "every field that is described: {state}");

    let etag = created.header("etag").expect("an ETag").to_owned();
    for (method, path, headers, body, status) in [
        ("GET", "", vec![], json!({}), 200),
        ("HEAD", "", vec![], json!({}), 200),
        ("GET", "", vec![("if-none-match", &*etag)], json!({}), 304),
        ("HEAD", "", vec![("if-none-match", &*etag)], json!({}), 304),
        ("PATCH", "", vec![("if-match", &*etag)], json!({"metadata": {"any": 1}, "warn_at_ms": null}), 200),
        ("POST", "/start", vec![], json!({}), 200),
        ("POST", "/switch", vec![], json!({"current_participant_id": participant(0), "expected_version": 3}), 200),
        ("POST", "/pause", vec![], json!({}), 200),
        ("POST", "/resume", vec![], json!({}), 200),
        ("POST", "/complete", vec![], json!({}), 200),
        ("POST", "/cancel", vec![], json!({}), 200),
        ("DELETE", "", vec![], json!({}), 204),
    ] {
        let path = format!("{SESSION}{path}");
        let answer = reader.ask_with(method, &path, &id(1), &headers, &body.to_string()).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }

    for (n, mode) in [(2, "per_participant"), (3, "per_group"), (4, "global")] {
        let mut body = two_players(&id(n), 60_000);
        (body["sync_mode"], body["time_control"]) = (mode.into(), json!({"system": "overtime", "base_ms": 60_000}));
        (body["participants"][0]["group_id"], body["metadata"]) = (participant(7).into(), json!({}));
        if mode == "per_participant" {
            let stages = json!([{"moves": 2, "system": "delay", "base_ms": 60_000, "delay_ms": 1},
                {"system": "byoyomi", "base_ms": 0, "period_ms": 1_000, "periods": 2}]);
            body["time_control"] = json!({"system": "stages", "stages": stages});
            body["participants"][1]["time_control"] = json!("25/10m");
        }
        assert_eq!(reader.ask("POST", "/v1/sessions", &body).await.status, 201, "{body}");
        for (path, status) in [("/start", 200), ("/switch", 200), ("/pause", 200)] {
            let answer = reader.ask_with("POST", &format!("{SESSION}{path}"), &id(n), &[], "").await;
            assert_eq!(answer.status, status, "{mode} {path}");
        }
    }

    let example = reader.document["components"]["schemas"]["NewSession"]["examples"][0].clone();
    assert_eq!(reader.ask("POST", "/v1/sessions", &example).await.status, 201);
}

#[tokio::test]
async fn of_a_clock_that_ran_out_are_as_described() {
    let server = Server::start_with(&LIMITS).await;
    let mut reader = Reader::of(&server).await;
    reader.ask("POST", "/v1/sessions", &two_players(&id(1), 1_000)).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    reader.ask("POST", "/v1/sessions/{id}/start", &json!({})).await;
    client.next_of("TIME_EXPIRED").await;
    let state = reader.ask("GET", SESSION, &json!({})).await.json()["data"].take();
    assert!(state["participants"][0]["expired_at"].is_string(), "{state}");
    let late = reader.ask("POST", "/v1/sessions/{id}/switch", &json!({})).await;
    assert!(late.json()["data"]["expired_participant_id"].is_string(), "{late:?}");
}

#[tokio::test]
async fn of_the_server_itself_are_as_described() {
    let server = Server::start_with(&LIMITS).await;
    let mut reader = Reader::of(&server).await;
    for path in ["/v1/time", "/health", "/ready", "/api-docs.json"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(reader.ask_with(method, path, "", &[], "").await.status, 200, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn of_every_kind_of_error_are_as_described() {
    const TRANSITIONS: [&str; 6] = ["start", "switch", "pause", "resume", "complete", "cancel"];
    let server = Server::start_with(&[LIMITS[0], LIMITS[1], ("MAX_SESSIONS", "1"), ("BODY_TIMEOUT_MS", "50")]).await;
    let mut reader = Reader::of(&server).await;
    let switch = format!("{SESSION}/switch");
    let created = reader.ask("POST", "/v1/sessions", &two_players(&id(1), 60_000)).await;
    assert_eq!(created.status, 201);

    for body in ["{}", "[]", "null", "{", r#"{"participants":[{}],"increment_ms":-1,"warn_at_ms":[0]}"#] {
        for (method, path) in [("POST", "/v1/sessions"), ("PATCH", SESSION), ("POST", &*switch)] {
            reader.ask_with(method, path, &id(1), &[], body).await;
        }
    }
    for transition in TRANSITIONS {
        for id in ["x", &id(9), &id(1)] {
            reader.ask_with("POST", &format!("{SESSION}/{transition}"), id, &[("if-match", "\"1.1\"")], "").await;
        }
    }
    for transition in ["switch", "pause", "resume"] {
        reader.ask("POST", &format!("{SESSION}/{transition}"), &json!({})).await;
    }
    for method in ["GET", "HEAD", "PATCH", "DELETE"] {
        for id in ["x", &id(9)] {
            reader.ask_with(method, SESSION, id, &[], "").await;
        }
    }
    reader.ask("POST", "/v1/sessions/{id}/start", &json!({})).await;
    for body in [
        json!({"next_participant_id": id(5)}),
        json!({"current_participant_id": participant(1)}),
        json!({"expected_version": 1}),
    ] {
        reader.ask("POST", &switch, &body).await;
    }
    reader.ask("POST", "/v1/sessions/{id}/cancel", &json!({})).await;
    reader.ask("PATCH", SESSION, &json!({"increment_ms": 1})).await;
    reader.ask("POST", "/v1/sessions", &two_players(&id(1), 60_000)).await;
    reader.ask("POST", "/v1/sessions", &two_players(&id(2), 60_000)).await;
    reader.ask("GET", "/ws", &json!({})).await;
    for body in [json!({}), json!({}), json!({"expected_version": 7})] {
        let headers = [("idempotency-key", &*id(7))];
        reader.ask_with("POST", &format!("{SESSION}/complete"), &id(1), &headers, "").await;
        reader.ask_with("PATCH", SESSION, &id(1), &headers, &json!({"metadata": {"a": body}}).to_string()).await;
    }
    reader.ask("GET", "/nowhere", &json!({})).await;
    reader.ask("PUT", SESSION, &json!({})).await;

    for (headers, body) in [
        (vec![("content-encoding", "gzip")], "{}".to_owned()),
        (vec![], "x".repeat((1 << 20) + 1)),
        (vec![("transfer-encoding", "gzip, chunked")], String::new()),
        (vec![("x", &*"x".repeat(20_000))], String::new()),
    ] {
        reader.ask_with("POST", "/v1/sessions", "", &headers, &body).await;
    }
    reader.http.send(b"POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n{").await;
    let slow = reader.http.answer(false).await.expect("an answer");
    reader.check("POST", "/v1/sessions", &slow);

    let limited = Server::start_with(&[("RATE_LIMIT_GENERAL", "1")]).await;
    reader.http = limited.connect().await;
    for _ in 0..2 {
        reader.ask_with("GET", "/v1/time", "", &[], "").await;
    }

    of_who_may_not(&mut reader).await;

    let all: BTreeSet<_> = codes(&reader.document).into_iter().collect();
    let missed: Vec<_> = all.difference(&reader.met).collect();
    let beyond_memory = ["INTERNAL_ERROR", "STATE_DESERIALIZATION_ERROR", "UNKNOWN_OUTCOME", "UPGRADE_IN_PROGRESS"];
    assert_eq!(missed, beyond_memory, "what sessions in memory cannot come to");
}

/// What a client is told whose token ends soon.
async fn of_a_token() -> [Value; 3] {
    let signer = Signer::hs256(7);
    let server = Server::start_with(&[("TOKEN_SECRET", &signer.secret())]).await;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    let grants = json!([{"sessions": ["*"], "allow": ["watch"]}]);
    let mut client = Client::open(server.address(), &format!("?sessionId={}", id(1))).await;
    let token = signer.token("token-secret", &claims("a", now_s + 2, &grants));
    client.say(json!({"type": "AUTH", "token": token})).await;
    [client.next().await, client.next().await, client.next().await]
}

/// What strangers are told, where it is asked who they are and where not.
async fn of_who_may_not(reader: &mut Reader) {
    let signer = Signer::hs256(7);
    let (key, _) = api_key("backend");
    let closed = Server::start_with(&[("TOKEN_SECRET", &signer.secret()), ("API_KEY", &key)]).await;
    let token =
        |expires_s: u64| format!("Bearer {}", signer.token("token-secret", &claims("a", expires_s, &json!([]))));
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    let (empty, expired) = (token(now_s + 60), token(now_s - 60));
    for authorization in ["", "Bearer nonsense", &expired, &empty] {
        for (method, path) in [("GET", SESSION), ("HEAD", SESSION), ("GET", "/metrics")] {
            reader.http = closed.connect().await;
            reader.ask_with(method, path, &id(1), &[("authorization", authorization)], "").await;
        }
    }
    let bearer = format!("Bearer {key}");
    for body in [r#"{"sub":"a"}"#, r#"{"jti":"b","until":9999999999}"#, "{}", "{"] {
        reader.http = closed.connect().await;
        reader.ask_with("POST", "/v1/revocations", "", &[("authorization", &bearer)], body).await;
    }
    reader.http = closed.connect().await;
    reader.ask_with("GET", SESSION, &id(1), &[("authorization", &empty)], "").await;
    let open = Server::start_with(&[("ALLOWED_HOSTS", "test"), ("CORS_ORIGIN", "auto")]).await;
    for header in [("origin", "https://evil.com"), ("x-real-ip", "192.0.2.1")] {
        reader.http = open.connect().await;
        reader.ask_with("GET", SESSION, &id(1), &[header], "").await;
    }
    let elsewhere = Server::start_with(&[("ALLOWED_HOSTS", "")]).await;
    reader.http = elsewhere.connect().await;
    reader.ask_with("GET", "/ready", "", &[], "").await;
}

#[tokio::test]
async fn over_a_websocket_are_as_described() {
    let server = Server::start().await;
    let document = served(&server).await;
    let schemas = &document["components"]["schemas"];
    let mut client = Client::open(server.address(), &format!("?sessionId={}", id(1))).await;
    let mut body = two_players(&id(1), 1_000);
    body["warn_at_ms"] = json!([900]);
    let mut http = server.connect().await;
    http.create(&body).await;
    let orders = [
        json!({"type": "PING", "timestamp": 1.5}),
        json!({"type": "RECONNECT"}),
        json!({"type": "START", "request_id": "a"}),
        json!({"type": "START", "request_id": "b"}),
        json!({"type": "SWITCH", "request_id": "c"}),
        json!({"type": "SWITCH", "request_id": "d", "expected_version": 0}),
    ];
    for order in orders {
        let found = faults(&document, &schemas["ClientMessage"], &order);
        assert_eq!(found.is_empty(), order["expected_version"].is_null(), "{found:?}");
        client.say(order).await;
    }
    client.send(Message::text("?")).await;
    let mut kinds = BTreeSet::new();
    while let Message::Text(text) = client.receive().await {
        let message: Value = serde_json::from_str(&text).expect("messages are JSON");
        let found = faults(&document, &schemas["ServerMessage"], &message);
        assert!(found.is_empty(), "{found:?}: {message}");
        let kind = message["type"].as_str().expect("a type").to_owned();
        if kind == "TIME_EXPIRED" {
            http.ask("DELETE", &format!("/v1/sessions/{}", id(1)), "").await;
        }
        kinds.insert(kind);
    }
    for message in of_a_token().await {
        let found = faults(&document, &schemas["ServerMessage"], &message);
        assert!(found.is_empty(), "{found:?}: {message}");
        kinds.insert(message["type"].as_str().expect("a type").to_owned());
    }
    let described: BTreeSet<_> = schemas["ServerMessage"]["oneOf"]
        .as_array()
        .expect("messages")
        .iter()
        .flat_map(|one| {
            let kind = &resolve(&document, one)["properties"]["type"];
            let kinds = kind["enum"].as_array().cloned().unwrap_or_else(|| vec![kind["const"].clone()]);
            kinds.into_iter().map(|kind| kind.as_str().expect("a type").to_owned())
        })
        .collect();
    assert_eq!(kinds, described, "all that is described was said");
}
