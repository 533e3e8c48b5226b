//! Idempotency-Key where it is known who asks: each sender has keys of its own, and no key opens what its sender may not.

use serde_json::json;
use test_support::sessions::{id, two_players};

use super::{Guarded, ask, backend};

#[tokio::test]
async fn each_sender_has_keys_of_its_own() {
    let guarded = Guarded::start().await;
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(&id(1), 3_600_000)).await;
    let path = format!("/v1/sessions/{}", id(1));
    let grants = json!([{"sessions": [id(1)], "allow": ["start", "switch"]}]);
    let [ann, bob] = ["ann", "bob"].map(|subject| guarded.bearer(subject, &grants));
    let stranger = guarded.bearer("ann", &json!([{"sessions": [id(2)], "allow": ["*"]}]));
    let mut client = guarded.server.connect().await;
    let mut send = async |bearer: &str, key: &str, action: &str| {
        let headers = [("Authorization", bearer), ("Idempotency-Key", key)];
        let answer = client.ask_with("POST", &format!("{path}/{action}"), &headers, "").await;
        (answer.status, answer.header("idempotency-replayed").is_some())
    };
    assert_eq!(send(&ann, "move/1", "start").await, (200, false));
    assert_eq!(send(&ann, "move/1", "start").await, (200, true));
    assert_eq!(send(&bob, "move/1", "start").await, (400, false), "it has started, and not by this one");
    for (bearer, is_replayed) in [(&ann, false), (&bob, false), (&ann, true), (&bob, true)] {
        assert_eq!(send(bearer, "move/2", "switch").await, (200, is_replayed));
    }
    assert_eq!(send(&stranger, "move/2", "switch").await, (403, false), "whoever may not is not told");
    let backend = backend();
    assert_eq!(send(&backend, "move/2", "switch").await, (200, false), "a key is no subject");
    for wrong in ["a b".to_owned(), "x".repeat(256), String::new()] {
        assert_eq!(send(&ann, &wrong, "switch").await.0, 400, "{wrong:?}");
    }
    assert_eq!(send(&ann, &"x".repeat(255), "switch").await, (200, false));
}
