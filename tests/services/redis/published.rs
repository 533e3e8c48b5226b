//! What Redis shows to other programs: every change in the public format, messages that anybody may publish, and no key without
//! a TTL.

use std::time::Duration;

use serde_json::{Value, json};

use test_support::redis::Redis;
use test_support::sessions::{id, participant, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::{HOUR, instance, instance_with, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_published() {
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let mut connection = redis.connect();
    let mut updates = connection.as_pubsub();
    updates.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    updates.subscribe("session-updates").expect("it can be listened to");
    let mut watched = redis.connect();
    let mut messages = watched.as_pubsub();
    messages.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    messages.subscribe(format!("ws:{}", id(1))).expect("it can be listened to");

    let mut client = server.connect().await;
    let mut body = two_players(&id(1), HOUR);
    body["metadata"] = json!({"quote": "\"\\ é\n", "n": 1.50});
    let mut expected = vec![client.create(&body).await];
    for action in ["start", "switch", "pause", "resume", "complete"] {
        client.post(&id(1), action, &Value::Null).await;
        expected.push(client.read(&id(1)).await);
    }
    let heard = |message: redis::Msg| -> Value { serde_json::from_slice(message.get_payload_bytes()).expect("JSON") };
    for state in &expected {
        let update = heard(updates.get_message().expect("every change is published"));
        assert_eq!(update["sessionId"], id(1));
        assert!(update["timestamp"].is_u64() && update.as_object().is_some_and(|members| members.len() == 3));
        let published: Value = serde_json::from_str(update["state"].as_str().expect("a string")).expect("JSON");
        assert_eq!(&published, state);
        let message = heard(messages.get_message().expect("and the session's channel has it"));
        assert_eq!((&message["sessionId"], &message["message"]["type"]), (&json!(id(1)), &json!("STATE_UPDATE")));
        assert_eq!((&message["message"]["state"], &message["version"]), (state, &state["version"]));
    }
    let gone = client.ask("DELETE", &format!("/v1/sessions/{}", id(1)), "").await;
    assert_eq!(gone.status, 204);
    let update = heard(updates.get_message().expect("a deletion too"));
    assert_eq!(update, json!({"sessionId": id(1), "deleted": true, "timestamp": update["timestamp"]}));
    assert_eq!(heard(messages.get_message().expect("and here"))["message"]["type"], "SESSION_DELETED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_publisher_can_send_a_message_to_a_sessions_clients() {
    let redis = Redis::start();
    let instances = [instance(&redis.url()).await, instance(&redis.url()).await];
    start(&mut instances[0].connect().await, 1, HOUR).await;
    let mut clients = Vec::new();
    for server in &instances {
        let mut client = Client::join(server.address(), &id(1)).await;
        client.next_of("STATE_SYNC").await;
        clients.push(client);
    }
    let publish = |payload: &[u8]| {
        let heard: u64 = redis::cmd("PUBLISH")
            .arg(format!("ws:{}", id(1)))
            .arg(payload)
            .query(&mut redis.connect())
            .expect("it is up");
        assert_eq!(heard, 2, "an instance listens once for all its clients");
    };
    // None of these is a message, and none of them hurts.
    let cut = format!(r#"{{"epoch":1,"version":9,"sessionId":"{}","message":"#, id(1));
    let mut garbled = cut.clone().into_bytes();
    garbled.extend(b"{\"type\":\"STATE_UPDATE\xff\"},\"timestamp\":1}");
    for nonsense in [&b"nonsense"[..], b"{}", b"\xff\xfe", b"", cut.as_bytes(), &garbled] {
        publish(nonsense);
    }
    let own = r#"{ "type":"CHAT",  "text":"h\u00e9 ☃", "n":1.50, "nested":{"message":[1, 2 ]} }"#;
    let envelope = format!(r#"{{"sessionId":"{}","message":{own},"timestamp":1}}"#, id(1));
    publish(envelope.as_bytes());
    publish(envelope.as_bytes());
    for client in &mut clients {
        assert_eq!(client.text().await, own);
        assert_eq!(client.text().await, own, "the same thing twice is two messages");
    }
    let order = json!({"type": "SWITCH", "request_id": "a", "next_participant_id": participant(1)});
    assert_eq!(clients[0].order(order).await["status"], 200);
    assert_eq!(clients[1].next_of("STATE_UPDATE").await["state"]["version"], 3, "updates go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_empty_again_when_the_tombstones_are_gone() {
    let redis = Redis::start();
    let server = instance_with(&redis.url(), &[("TOMBSTONE_TTL_S", "1")]).await;
    let mut client = server.connect().await;
    for n in 0..50 {
        start(&mut client, n, HOUR).await;
    }
    assert_eq!(redis.len(), 51, "the sessions and their deadlines");
    for n in 0..50 {
        assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(n)), "").await.status, 204);
    }
    wait::until("everything is gone", async || redis.len() == 0).await;
}
