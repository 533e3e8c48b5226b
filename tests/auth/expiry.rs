//! A token that ends while a command of its holder's is on its way: who asks is judged when the command arrives.

use serde_json::{Value, json};
use test_support::directory::Directory;
use test_support::faulty::Faulty;
use test_support::http::Connection;
use test_support::sessions::{id, two_players};
use test_support::tokens::{Signer, claims};
use test_support::wait;
use test_support::ws::Client;
use tokio_tungstenite::tungstenite::Message;

use super::{backend, key, now_s, signing_key};

/// A server that stalls as it is told, and whose tokens have no leeway.
struct Stalling {
    server: Faulty,
    signer: Signer,
    _directory: Directory,
}

impl Stalling {
    async fn start() -> Self {
        let directory = Directory::new();
        let (data, keys) = (directory.path().join("data"), directory.path().join("keys.json"));
        std::fs::create_dir_all(&data).expect("it can be made");
        let signer = Signer::hs256(9);
        let file = json!({"leeway_s": 0, "keys": [key("backend"), signing_key("k1", &signer)]});
        std::fs::write(&keys, file.to_string()).expect("it can be written");
        let [data, keys] = [&data, &keys].map(|path| path.to_str().expect("it is text"));
        let settings = [("DATA_DIR", data), ("KEYS_FILE", keys), ("REQUEST_TIMEOUT_MS", "60000")];
        let server = Faulty::start_with(&settings, "").await;
        Self { server, signer, _directory: directory }
    }

    async fn ask(&self, bearer: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut connection = Connection::open(self.server.program.address).await;
        let answer = connection.ask_with(method, path, &[("authorization", bearer)], body).await;
        (answer.status, answer.json()["data"].clone())
    }

    async fn version(&self, n: u64) -> u64 {
        let (_, state) = self.ask(&backend(), "GET", &format!("/v1/sessions/{}", id(n)), "").await;
        state["version"].as_u64().expect("a version")
    }
}

#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn what_arrived_before_its_token_ended_is_carried_out() {
    let stalling = Stalling::start().await;
    for n in [1, 2] {
        let create = two_players(&id(n), 3_600_000).to_string();
        assert_eq!(stalling.ask(&backend(), "POST", "/v1/sessions", &create).await.0, 201);
        assert_eq!(stalling.ask(&backend(), "POST", &format!("/v1/sessions/{}/start", id(n)), "").await.0, 200);
    }
    let grants = json!([{"sessions": ["*"], "allow": ["watch", "switch"]}]);
    let bearer = format!("Bearer {}", stalling.signer.token("k1", &claims("player", now_s() + 3, &grants)));
    let address = stalling.server.program.address;
    let mut client = Client::open_with(address, &format!("?sessionId={}", id(2)), &[("authorization", &bearer)]).await;
    assert_eq!(client.next().await["type"], "CONNECTED");
    let mut connection = Connection::open(address).await;

    stalling.server.panics("stall journal");
    let path = format!("/v1/sessions/{}/switch", id(1));
    connection.send(format!("POST {path} HTTP/1.1\r\nhost: test\r\nauthorization: {bearer}\r\n\r\n").as_bytes()).await;
    client.say(json!({"type": "SWITCH", "request_id": "a"})).await;
    wait::until("both are judged", async || stalling.version(1).await == 3 && stalling.version(2).await == 3).await;
    wait::until("the token has ended", async || stalling.ask(&bearer, "GET", "/v1/time", "").await.0 == 401).await;
    stalling.server.panics("");
    let answer = connection.answer(false).await.expect("it is answered");
    assert_eq!((answer.status, &answer.json()["data"]["version"]), (200, &json!(3)), "{answer:?}");

    assert_eq!(stalling.ask(&bearer, "POST", &path, "").await.0, 401, "the next one came too late");
    let close = loop {
        if let Message::Close(Some(close)) = client.receive().await {
            break close;
        }
    };
    assert_eq!(u16::from(close.code), 4401);
    assert_eq!([stalling.version(1).await, stalling.version(2).await], [3, 3]);
}
