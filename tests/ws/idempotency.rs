//! Commands with an `idempotency_key`: the same as over REST.

use serde_json::{Value, json};
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

#[tokio::test]
async fn a_command_that_is_sent_again_is_known_over_both_protocols() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), 3_600_000)).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    let mut order = async |kind: &str, key: &str, more: Value| {
        let mut message = json!({"type": kind, "request_id": "r", "idempotency_key": key});
        message.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        let result = client.order(message).await;
        let version = result["data"]["version"].as_u64();
        (result["status"].as_u64().expect("a status"), result["replayed"] == true, version, result)
    };
    for (kind, n, is_replayed) in [("START", 7, false), ("START", 7, true), ("SWITCH", 8, false), ("SWITCH", 8, true)] {
        let (status, replayed, version, result) = order(kind, &id(n), json!({})).await;
        assert_eq!((status, replayed, version), (200, is_replayed, Some(n - 5)), "{result}");
    }
    let path = format!("/v1/sessions/{}/switch", id(1));
    let answer = http.ask_with("POST", &path, &[("Idempotency-Key", &*id(8))], "{}").await;
    assert_eq!((answer.status, answer.header("idempotency-replayed")), (200, Some("true")), "{answer:?}");
    let (status, replayed, _, result) = order("SWITCH", &id(8), json!({"expected_version": 3})).await;
    assert_eq!((status, replayed, &result["error"]["code"]), (422, false, &json!("IDEMPOTENCY_MISMATCH")));
    let (status, .., result) = order("SWITCH", "seven", json!({})).await;
    assert_eq!((status, &result["error"]["details"][0]["field"]), (400, &json!("idempotency_key")), "{result}");
    let (status, .., result) = order("PAUSE", &id(9), json!({"idempotency_key": 9})).await;
    assert_eq!((status, &result["error"]["details"][0]["field"]), (400, &json!("idempotency_key")), "{result}");
}
