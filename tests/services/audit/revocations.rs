//! Revocations over instances that share a Redis: told at once, kept beyond any instance, and filled in again when Redis has lost
//! them.

use serde_json::{Value, json};

use test_support::http::Connection;
use test_support::keys::{KeysFile, backend};
use test_support::program::Program;
use test_support::wait;
use test_support::ws::Client;

use super::rig::Rig;

super::on_one_and_on_many!(
    what_is_revoked_on_one_instance_is_on_all,
    a_redis_that_was_emptied_is_filled_before_a_token_counts,
);

const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

fn keys() -> KeysFile {
    KeysFile::new(&json!({}))
}

/// What somebody shows who may do everything, by a token that was made a minute ago.
fn token(keys: &KeysFile, subject: &str) -> String {
    format!("Bearer {}", keys.token(subject, 60, 600, &json!([{"sessions": ["*"], "allow": ["*"]}])))
}

async fn status(instance: &Program, bearer: &str) -> u16 {
    let mut client = Connection::open(instance.address).await;
    client.ask_with("GET", "/v1/time", &[("authorization", bearer)], "").await.status
}

async fn revoke(instance: &Program, body: &Value) -> (u16, Value) {
    let mut client = Connection::open(instance.address).await;
    let bearer = backend();
    let answer = client.ask_with("POST", "/v1/revocations", &[("authorization", &bearer)], &body.to_string()).await;
    (answer.status, answer.json())
}

async fn what_is_revoked_on_one_instance_is_on_all(rig: Rig) {
    let keys = keys();
    let path = keys.path();
    let settings = [("KEYS_FILE", path.as_str())];
    let (here, there) = (rig.instance(&settings).await, rig.instance(&settings).await);
    let (gone, stays) = (token(&keys, "gone"), token(&keys, "stays"));
    let query = format!("?sessionId={ID}");
    let mut watcher = Client::open_with(there.address, &query, &[("authorization", &gone)]).await;
    assert_eq!(watcher.next().await["type"], "CONNECTED");
    let (code, answer) = revoke(&here, &json!({"sub": "gone"})).await;
    assert_eq!((code, &answer["data"]["durable"]), (201, &json!(true)), "{answer}");
    assert_eq!(status(&here, &gone).await, 401);
    let close = watcher.closed().await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4401, "Token revoked"));
    assert_eq!(status(&there, &gone).await, 401);
    // Who comes later reads it.
    let later = rig.instance(&settings).await;
    for instance in [&here, &there, &later] {
        assert_eq!((status(instance, &gone).await, status(instance, &stays).await), (401, 200));
    }
    for n in 0..20 {
        let (code, _) = revoke([&here, &there, &later][n % 3], &json!({"jti": format!("token-{n}")})).await;
        assert_eq!(code, 201);
    }
    wait::until("all are in the database", async || rig.number("select count(*) from sync_revocations").await == 21)
        .await;
}

async fn a_redis_that_was_emptied_is_filled_before_a_token_counts(rig: Rig) {
    let keys = keys();
    let path = keys.path();
    let settings = [("KEYS_FILE", path.as_str())];
    let mut first = rig.instance(&settings).await;
    let (gone, stays) = (token(&keys, "gone"), token(&keys, "stays"));
    for _ in 0..2 {
        // The same again takes no other row.
        assert_eq!(revoke(&first, &json!({"sub": "gone"})).await.0, 201);
    }
    assert_eq!(revoke(&first, &json!({"sub": "here", "session_id": ID})).await.0, 201);
    wait::until("it is in the database", async || rig.number("select count(*) from sync_revocations").await == 2).await;
    first.child.kill().expect("it runs");
    first.ended().await;
    rig.empty();
    let second = rig.instance(&settings).await;
    assert_eq!((status(&second, &gone).await, status(&second, &stays).await), (401, 200));
    let here = token(&keys, "here");
    let mut client = Connection::open(second.address).await;
    let read = client.ask_with("GET", &format!("/v1/sessions/{ID}"), &[("authorization", &here)], "").await;
    assert_eq!((read.status, &*read.code()), (401, "TOKEN_REVOKED"));
    assert_eq!(rig.revoked(), 2, "it is in Redis again");
    // Then the database is not asked.
    rig.postgres(|postgres| postgres.stop()).await;
    let third = rig.instance(&settings).await;
    assert_eq!((status(&third, &gone).await, status(&third, &stays).await), (401, 200));
}

/// Nothing says what was revoked: then tokens do not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_and_database_no_token_counts() {
    let rig = Rig::start().await;
    let keys = keys();
    let path = keys.path();
    rig.postgres(|postgres| postgres.stop()).await;
    let instance = rig.begun(&[("KEYS_FILE", path.as_str())]);
    let mut client = Connection::open(instance.address).await;
    let bearer = backend();
    let ready = client.ask_with("GET", "/ready", &[("authorization", &bearer)], "").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("it is not known what was revoked"), "{ready:?}");
    let somebody = token(&keys, "somebody");
    assert_eq!((status(&instance, &somebody).await, status(&instance, &bearer).await), (503, 200));
    // Nor can more be revoked, as if there had been nothing before.
    assert_eq!(revoke(&instance, &json!({"sub": "somebody"})).await.0, 503);
    rig.postgres(|postgres| postgres.start_again()).await;
    wait::until("it counts", async || status(&instance, &somebody).await == 200).await;
    wait::until("it is ready", async || client.ask("GET", "/ready", "").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_is_filled_from_what_instances_know() {
    let mut rig = Rig::start().await;
    let keys = keys();
    let path = keys.path();
    let settings = [("KEYS_FILE", path.as_str())];
    let first = rig.instance(&settings).await;
    let (gone, stays) = (token(&keys, "gone"), token(&keys, "stays"));
    assert_eq!(revoke(&first, &json!({"sub": "gone"})).await.0, 201);
    wait::until("it is in the database", async || rig.number("select count(*) from sync_revocations").await == 1).await;
    rig.postgres(|postgres| postgres.stop()).await;
    rig.redis().kill();
    rig.redis().restart();
    wait::until("it is in Redis again", async || rig.revoked() == 1).await;
    let second = rig.instance(&settings).await;
    assert_eq!((status(&second, &gone).await, status(&second, &stays).await), (401, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_what_was_revoked_stays_so_and_nothing_more_is() {
    let mut rig = Rig::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]).await;
    let keys = keys();
    let path = keys.path();
    let instance = rig.instance(&[("KEYS_FILE", path.as_str())]).await;
    let (gone, stays) = (token(&keys, "gone"), token(&keys, "stays"));
    assert_eq!(revoke(&instance, &json!({"sub": "gone"})).await.0, 201);
    rig.redis().kill();
    assert_eq!(revoke(&instance, &json!({"sub": "stays"})).await.0, 503);
    assert_eq!(status(&instance, &gone).await, 401);
    rig.redis().restart_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    wait::until("it is served again", async || status(&instance, &stays).await == 200).await;
    assert_eq!(status(&instance, &gone).await, 401);
    wait::until("it can be revoked", async || revoke(&instance, &json!({"sub": "stays"})).await.0 == 201).await;
    assert_eq!(status(&instance, &stays).await, 401);
}
