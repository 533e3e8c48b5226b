//! Unknown fields: ignored, unless a client prefers strict handling (RFC 7240).

use serde_json::{Value, json};

use test_support::http::Answer;
use test_support::server::Server;
use test_support::sessions::{id, two_players};

const HOUR: u64 = 3_600_000;
const STRICT: [(&str, &str); 1] = [("prefer", "handling=strict")];

fn fields(answer: &Answer) -> Vec<String> {
    let details = answer.json()["error"]["details"].as_array().cloned().unwrap_or_default();
    details.iter().map(|problem| problem["field"].as_str().expect("a field").to_owned()).collect()
}

#[tokio::test]
async fn unknown_fields_are_problems_in_strict_handling() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut session = two_players(&id(1), HOUR);
    session["start_at"] = json!("2026-01-01T00:00:00.000Z");
    session["participants"][1]["increment_ms"] = json!(5);
    let body = session.to_string();
    let answer = client.ask_with("POST", "/v1/sessions", &STRICT, &body).await;
    assert_eq!((answer.status, answer.code()), (400, "VALIDATION_ERROR".to_owned()), "{answer:?}");
    assert_eq!(fields(&answer), ["start_at", "participants.1.increment_ms"]);
    assert_eq!(answer.header("preference-applied"), Some("handling=strict"));
    let answer = client.ask("POST", "/v1/sessions", &body).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (201, None), "{answer:?}");

    let path = format!("/v1/sessions/{}", id(1));
    let unknown = json!({"delay_ms": 1}).to_string();
    for action in ["/start", "/switch", "/pause", "/resume", "/complete", "/cancel"] {
        let answer = client.ask_with("POST", &format!("{path}{action}"), &STRICT, &unknown).await;
        assert_eq!((answer.status, fields(&answer)), (400, vec!["delay_ms".to_owned()]), "{action}: {answer:?}");
        let answer = client.ask_with("POST", &format!("{path}{action}"), &STRICT, "{").await;
        assert_eq!((answer.status, answer.code()), (400, "INVALID_JSON".to_owned()), "{action}: {answer:?}");
    }
    assert_eq!(client.ask_with("DELETE", &path, &STRICT, &unknown).await.status, 400);
    assert_eq!(client.read(&id(1)).await["version"], 1, "nothing was done");
    for (action, body) in [("/start", ""), ("/switch", "{}"), ("/switch", "{\"expected_version\":3}"), ("/pause", "{}")]
    {
        let answer = client.ask_with("POST", &format!("{path}{action}"), &STRICT, body).await;
        assert_eq!((answer.status, answer.header("preference-applied")), (200, Some("handling=strict")), "{answer:?}");
    }
    assert_eq!(client.ask("POST", &format!("{path}/resume"), &unknown).await.status, 200, "others are as they were");
    assert_eq!(client.ask_with("DELETE", &path, &STRICT, "").await.status, 204);
}

#[tokio::test]
async fn every_field_that_is_described_is_known() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let document = client.ask("GET", "/api-docs.json", "").await.json();
    let object = |fields: &Value| -> Value {
        fields.as_object().expect("fields").keys().map(|name| (name.clone(), Value::Null)).collect()
    };
    let of = |schema: &str| &document["components"]["schemas"][schema]["properties"];
    let mut create = object(of("NewSession"));
    for array in ["participants", "groups"] {
        let entry = &of("NewSession")[array]["items"];
        let fields = match entry["$ref"].as_str() {
            Some(name) => of(name.rsplit('/').next().expect("a name")),
            None => &entry["properties"],
        };
        create[array] = json!([object(fields)]);
    }
    for (path, body) in [("/v1/sessions", create), ("/v1/sessions/x/switch", object(of("Switch")))] {
        let answer = client.ask_with("POST", path, &STRICT, &body.to_string()).await;
        assert!(!answer.body.contains("Unknown field"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn at_most_32_problems_are_reported() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut session = two_players(&id(1), HOUR);
    session["participants"] = (0..1_000).map(|_| json!({})).collect();
    for (method, path, body) in [
        ("POST", "/v1/sessions", session.to_string()),
        ("PATCH", "/v1/sessions/x", (0..1_000).map(|n| (n.to_string(), Value::Null)).collect::<Value>().to_string()),
    ] {
        let answer = client.ask(method, path, &body).await;
        let details = answer.json()["error"]["details"].take();
        let details = details.as_array().expect("problems");
        let last = (&details[details.len() - 1]["field"], &details[details.len() - 1]["code"]);
        assert_eq!((details.len(), last), (33, (&json!(""), &json!("truncated"))), "{answer:?}");
        assert!(answer.body.len() < 8_000, "{answer:?}");
    }
}
