//! Keys that change while the server runs: those that are gone count no more, all others go on.

use serde_json::{Value, json};
use test_support::sessions::id;
use test_support::tokens::{Signer, api_key, claims};
use test_support::wait;
use test_support::ws::Client;

use super::{Guarded, ask, backend, key, now_s, signing_key};

async fn status(guarded: &Guarded, bearer: &str) -> u16 {
    ask(&guarded.server, bearer, "GET", "/v1/time", &Value::Null).await.status
}

#[tokio::test]
async fn a_key_that_is_gone_counts_no_more_on_any_connection() {
    let guarded = Guarded::start().await;
    let grants = json!([{"sessions": ["*"], "allow": ["*"]}]);
    let token = guarded.bearer("somebody", &grants);
    let mut with_token = guarded.server.connect().await;
    let mut with_key = guarded.server.connect().await;
    let key_bearer = backend();
    assert_eq!(with_token.ask_with("GET", "/v1/time", &[("authorization", &token)], "").await.status, 200);
    assert_eq!(with_key.ask_with("GET", "/v1/time", &[("authorization", &key_bearer)], "").await.status, 200);

    // The new key comes, and the old one goes: nobody of either is refused while theirs is there.
    let new = Signer::hs256(8);
    let new_token = format!("Bearer {}", new.token("k2", &claims("somebody", now_s() + 600, &grants)));
    let old = signing_key("k1", &guarded.signer);
    guarded.write(&json!({"keys": [key("backend"), old, signing_key("k2", &new)]}));
    assert_eq!(with_token.ask_with("GET", "/v1/time", &[("authorization", &token)], "").await.status, 200);
    assert_eq!(status(&guarded, &new_token).await, 200);
    guarded.write(&json!({"keys": [key("backend"), signing_key("k2", &new)]}));
    assert_eq!(with_token.ask_with("GET", "/v1/time", &[("authorization", &token)], "").await.status, 401);
    assert_eq!(status(&guarded, &token).await, 401);
    assert_eq!(status(&guarded, &new_token).await, 200);
    assert_eq!(with_key.ask_with("GET", "/v1/time", &[("authorization", &key_bearer)], "").await.status, 200);
    guarded.write(&json!({"keys": []}));
    assert_eq!(with_key.ask_with("GET", "/v1/time", &[("authorization", &key_bearer)], "").await.status, 401);
}

#[tokio::test]
async fn what_is_wrong_changes_nothing_and_is_told() {
    let guarded = Guarded::start().await;
    let path = guarded.directory.path().join("keys.json");
    let right = std::fs::read_to_string(&path).expect("it can be read");
    let bearer = backend();
    let other = format!("{} ", &right[..right.len() / 2]);
    for (n, wrong) in ["", "{", &right[..right.len() / 2], &other, r#"{"keys":[{}]}"#].into_iter().enumerate() {
        std::fs::write(&path, wrong).expect("it can be written");
        // Each counts once, however often it is looked at.
        for _ in 0..3 {
            guarded.server.reload();
        }
        assert_eq!(status(&guarded, &bearer).await, 200, "{wrong}");
        let told = ask(&guarded.server, &bearer, "GET", "/ready", &Value::Null).await;
        assert_eq!((told.status, &told.json()["status"]), (200, &json!("degraded")), "{told:?}");
        let cause = &told.json()["causes"][0];
        assert_eq!(cause["component"], "keys");
        assert!(cause["error"].as_str().is_some_and(|error| error.contains("KEYS_FILE: ")), "{cause}");
        let stranger = guarded.server.connect().await.ask("GET", "/ready", "").await;
        assert_eq!(stranger.json(), json!({"status": "degraded", "error": "degraded", "causes": []}));
        let metrics = ask(&guarded.server, &bearer, "GET", "/metrics", &Value::Null).await.body;
        let count = format!("synckairos_auth_reload_failures_total {}", n + 1);
        assert!(metrics.contains(&count), "{metrics}");
    }
    std::fs::remove_file(&path).expect("it is there");
    guarded.server.reload();
    guarded.server.reload();
    let metrics = ask(&guarded.server, &bearer, "GET", "/metrics", &Value::Null).await.body;
    assert!(metrics.contains("synckairos_auth_reload_failures_total 6"), "{metrics}");
    assert_eq!(status(&guarded, &bearer).await, 200, "there is none");
    std::fs::write(&path, right).expect("it can be written");
    guarded.server.reload();
    let ready = ask(&guarded.server, &bearer, "GET", "/ready", &Value::Null).await;
    assert_eq!(ready.json()["status"], "ready");
}

#[tokio::test]
async fn clients_of_a_key_that_is_gone_are_closed_and_others_stay() {
    let guarded = Guarded::start().await;
    let grants = json!([{"sessions": ["*"], "allow": ["watch"]}]);
    let query = format!("?sessionId={}", id(1));
    let address = guarded.server.address();
    let token = guarded.bearer("somebody", &grants);
    let mut gone = Client::open_with(address, &query, &[("authorization", &token)]).await;
    let mut stays = Client::open_with(address, &query, &[("authorization", &backend())]).await;
    assert_eq!(gone.next().await["type"], "CONNECTED");
    assert_eq!(stays.next().await["type"], "CONNECTED");
    guarded.write(&json!({"keys": [key("backend")]}));
    let close = gone.closed().await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4401, "Token revoked"));
    stays.say(json!({"type": "PING"})).await;
    assert_eq!(stays.next().await["type"], "PONG");
}

/// A secret's mount in Kubernetes is a link to a link, which is swapped.
#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_file_is_looked_at_by_itself_also_behind_links() {
    let guarded = Guarded::start().await;
    let directory = guarded.directory.path();
    let path = directory.join("keys.json");
    for (name, id) in [("one", "backend"), ("two", "other")] {
        let inside = directory.join(name);
        std::fs::create_dir(&inside).expect("it can be made");
        std::fs::write(inside.join("keys.json"), json!({"keys": [key(id)]}).to_string()).expect("it can be written");
    }
    let (data, swapped) = (directory.join("..data"), directory.join("..next"));
    std::os::unix::fs::symlink("one", &data).expect("it can be made");
    std::fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("..data/keys.json", &path).expect("it can be made");
    let other = format!("Bearer {}", api_key("other").0);
    assert_eq!(status(&guarded, &other).await, 401);
    std::os::unix::fs::symlink("two", &swapped).expect("it can be made");
    std::fs::rename(&swapped, &data).expect("it can be swapped");
    wait::until("the other key counts", async || status(&guarded, &other).await == 200).await;
    assert_eq!(status(&guarded, &backend()).await, 401);
}
