//! The history says who asked for each change.

use serde_json::{Value, json};
use test_support::directory::Directory;
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::{Guarded, ask, backend};

#[tokio::test]
async fn each_change_has_who_asked_for_it_and_what_time_did_has_nobody() {
    let directory = Directory::new();
    let guarded = Guarded::start_with(&[("DATA_DIR", directory.text())], &json!({})).await;
    let path = format!("/v1/sessions/{}", id(1));
    let mut body = two_players(&id(1), 1_000);
    body["on_timeout"] = "notify".into();
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &body).await;
    let subject = r#"ann "é" \ :"#;
    let ann = guarded.bearer(subject, &json!([{"sessions": [id(1)], "allow": ["start", "pause", "watch"]}]));
    assert_eq!(ask(&guarded.server, &ann, "POST", &format!("{path}/start"), &Value::Null).await.status, 200);
    let history =
        async || ask(&guarded.server, &backend(), "GET", &format!("{path}/events"), &Value::Null).await.json();
    wait::until("its clock has run out", async || {
        history().await["data"].as_array().is_some_and(|changes| changes.len() == 3)
    })
    .await;
    let mut client = Client::open_with(
        guarded.server.address(),
        &format!("?sessionId={}", id(1)),
        &[("authorization", ann.as_str())],
    )
    .await;
    client.order(json!({"type": "PAUSE", "request_id": "1"})).await;
    assert_eq!(ask(&guarded.server, &ann, "POST", &format!("{path}/pause"), &Value::Null).await.status, 400);
    assert_eq!(ask(&guarded.server, &backend(), "DELETE", &path, &Value::Null).await.status, 204);
    let history = history().await;
    let told: Vec<_> = history["data"].as_array().expect("changes").iter().map(|change| &change["actor"]).collect();
    let ann = json!(format!("sub:{subject}"));
    let key = json!("key:backend");
    assert_eq!(told, [&key, &ann, &Value::Null, &ann, &key], "{history}");
    assert!(history["data"].as_array().expect("changes").iter().all(|change| change["state"]["actor"].is_null()));
}
