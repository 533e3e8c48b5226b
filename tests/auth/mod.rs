//! Who may do what: keys, tokens, grants, and what becomes of those who may not.

mod actors;
mod broadcasts;
mod clocks;
mod commands;
mod examples;
mod expiry;
mod handshakes;
mod idempotency;
mod key_sets;
mod keys_file;
mod listener;
mod operators;
mod public_forms;
mod reload;
mod rest;
mod revocations;
mod secrets;
mod start;
mod switch_own;
mod tokens;
mod websocket;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use test_support::directory::Directory;
use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::tokens::{Signer, api_key, claims};

/// A server with keys: `backend` may do everything, and `k1` signs whatever it wants.
struct Guarded {
    server: Server,
    signer: Signer,
    directory: Directory,
}

impl Guarded {
    async fn start() -> Self {
        Self::start_with(&[], &json!({})).await
    }

    /// With settings of the test's own, and members of its file.
    async fn start_with(settings: &[(&str, &str)], members: &Value) -> Self {
        let directory = Directory::new();
        std::fs::create_dir_all(directory.path()).expect("it can be made");
        let path = directory.path().join("keys.json");
        let signer = Signer::hs256(9);
        let mut file = members.clone();
        file["keys"] = json!([key("backend"), signing_key("k1", &signer)]);
        std::fs::write(&path, file.to_string()).expect("it can be written");
        let given = [("KEYS_FILE", path.to_str().expect("it is text"))];
        let server = Server::start_with(&[settings, &given[..]].concat()).await;
        Self { server, signer, directory }
    }

    /// Other keys from now on.
    fn write(&self, keys: &Value) {
        let path = self.directory.path().join("keys.json");
        std::fs::write(path, keys.to_string()).expect("it can be written");
        self.server.reload();
    }

    /// What somebody shows who may do something in some sessions.
    fn bearer(&self, subject: &str, grants: &Value) -> String {
        format!("Bearer {}", self.token(subject, now_s() + 600, grants))
    }

    fn token(&self, subject: &str, expires_s: u64, grants: &Value) -> String {
        self.signer.token("k1", &claims(subject, expires_s, grants))
    }
}

fn key(id: &str) -> Value {
    let all = ["*", "list", "metrics", "admin"];
    json!({"id": id, "kind": "api", "sha256": api_key(id).1, "allow": all, "sessions": ["*"]})
}

fn signing_key(id: &str, signer: &Signer) -> Value {
    let all = ["*", "list", "metrics", "admin"];
    json!({"id": id, "kind": "hs256", "secret": signer.secret(), "default": true, "allow": all, "sessions": ["*"]})
}

fn backend() -> String {
    format!("Bearer {}", api_key("backend").0)
}

/// Seconds since 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs()
}

/// A request with a credential, on a connection of its own: refusals may close it.
async fn ask(server: &Server, bearer: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut connection: Connection = server.connect().await;
    connection.ask_with(method, path, &[("authorization", bearer)], &body).await
}
