//! Sessions to create, as a client writes them, and requests that are expected to succeed.

use serde_json::{Value, json};

use super::http::Connection;

/// A session id that no other test uses: `n` in a name space of the caller's line.
pub fn id(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// The id of the `n`th participant.
pub fn participant(n: u64) -> String {
    format!("11111111-1111-4111-8111-{n:012x}")
}

/// A body that creates a session of two participants with `time_ms` each.
pub fn two_players(id: &str, time_ms: u64) -> Value {
    json!({
        "session_id": id,
        "sync_mode": "per_participant",
        "total_time_ms": 2 * time_ms,
        "participants": [
            {"participant_id": participant(0), "participant_index": 0, "total_time_ms": time_ms},
            {"participant_id": participant(1), "participant_index": 1, "total_time_ms": time_ms},
        ],
    })
}

impl Connection {
    /// The state of a session that is created.
    pub async fn create(&mut self, body: &Value) -> Value {
        self.succeed("POST", "/v1/sessions", body).await
    }

    /// The state of a session.
    pub async fn read(&mut self, id: &str) -> Value {
        self.succeed("GET", &format!("/v1/sessions/{id}"), &Value::Null).await
    }

    /// What a transition (`start`, `switch` and so on) comes to.
    pub async fn post(&mut self, id: &str, action: &str, body: &Value) -> Value {
        self.succeed("POST", &format!("/v1/sessions/{id}/{action}"), body).await
    }

    /// The state of a session whose settings are changed.
    pub async fn patch(&mut self, id: &str, body: &Value) -> Value {
        self.succeed("PATCH", &format!("/v1/sessions/{id}"), body).await
    }

    /// The server's time.
    pub async fn time_ms(&mut self) -> u64 {
        self.ask("GET", "/v1/time", "").await.json()["timestamp_ms"].as_u64().expect("a time")
    }

    async fn succeed(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(method, path, &body).await;
        assert!(matches!(answer.status, 200 | 201), "{method} {path} {body}: {answer:?}");
        answer.json()["data"].take()
    }
}
