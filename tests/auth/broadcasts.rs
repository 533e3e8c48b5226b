//! Who has not said who they are, or was refused, is told nothing of a session; and metrics name nobody.

use futures_util::StreamExt;
use serde_json::{Value, json};
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

use super::{Guarded, ask, backend};

const HOUR: u64 = 3_600_000;
const SUBJECT: &str = "somebody-whom-nothing-names";

async fn begin(guarded: &Guarded) {
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(&id(1), HOUR)).await;
    ask(&guarded.server, &backend(), "POST", &format!("/v1/sessions/{}/start", id(1)), &Value::Null).await;
}

fn token(guarded: &Guarded, allow: &[&str]) -> String {
    guarded.token(SUBJECT, super::now_s() + 600, &json!([{"sessions": [id(1)], "allow": allow}]))
}

#[tokio::test]
async fn a_change_is_told_to_nobody_who_may_not_watch() {
    let guarded = Guarded::start().await;
    begin(&guarded).await;
    let query = format!("?sessionId={}", id(1));
    let address = guarded.server.address();
    let mut waiting = Client::open_with(address, &query, &[]).await;
    let mut refused = Client::open_with(address, &query, &[]).await;
    refused.say(json!({"type": "AUTH", "token": token(&guarded, &["read"])})).await;
    assert_eq!(u16::from(refused.closed().await.code), 4503);
    let mut watching = Client::open_with(address, &query, &[("authorization", &backend())]).await;
    let result = watching.order(json!({"type": "SWITCH", "request_id": "a"})).await;
    assert_eq!(result["status"], 200, "{result}");

    // What comes first is what a client is told that joins, and it is of after the change.
    waiting.say(json!({"type": "AUTH", "token": token(&guarded, &["watch"])})).await;
    assert_eq!(waiting.next().await["type"], "CONNECTED");
    let state = waiting.next().await;
    assert_eq!((&state["type"], &state["state"]["version"]), (&json!("STATE_SYNC"), &json!(3)), "{state}");
    let more = refused.stream.next().await;
    assert!(!matches!(more, Some(Ok(_))), "{more:?}");
}

#[tokio::test]
async fn metrics_name_nobody() {
    let guarded = Guarded::start().await;
    begin(&guarded).await;
    let bearer = format!("Bearer {}", token(&guarded, &["read", "watch", "switch"]));
    let path = format!("/v1/sessions/{}", id(1));
    for (method, action, status) in [("GET", "", 200), ("POST", "/switch", 200), ("DELETE", "", 403)] {
        let answer = ask(&guarded.server, &bearer, method, &format!("{path}{action}"), &Value::Null).await;
        assert_eq!(answer.status, status, "{method} {action}");
    }
    let query = format!("?sessionId={}", id(1));
    let mut client = Client::open_with(guarded.server.address(), &query, &[("authorization", &bearer)]).await;
    assert_eq!(client.next().await["type"], "CONNECTED");
    let metrics = ask(&guarded.server, &backend(), "GET", "/metrics", &Value::Null).await.body;
    assert!(metrics.contains("synckairos_"), "{metrics}");
    assert!(!metrics.contains(SUBJECT), "{metrics}");
}
