//! What is published to other instances and backends, word for word, and what is read from a channel on which anybody may
//! publish.

use bytes::Bytes;

use super::super::{
    PubSubMessage, changed_at, encode, lifetime_basis, publish, publish_deleted, publish_update, published_at,
    read_pubsub_message,
};
use super::sample::{self, after, after_noon};
use crate::engine::{Command, SessionId, StateTag, Status, Timestamp, Uuid};

const ID: &str = "550e8400-e29b-41d4-a716-446655440000";
const TAG: StateTag = StateTag { epoch: 17, version: 3 };

fn id() -> SessionId {
    SessionId(Uuid::parse(ID).expect("it is one"))
}

fn read(envelope: &str) -> Option<PubSubMessage> {
    read_pubsub_message(&Bytes::copy_from_slice(envelope.as_bytes()), id())
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn our_envelopes_are_read_as_they_were_written() {
    for (message, expected) in [
        (r#"{"type":"STATE_UPDATE","a":1}"#, PubSubMessage::State as fn(StateTag, Bytes) -> PubSubMessage),
        (r#"{"type":"SESSION_DELETED"}"#, PubSubMessage::Deleted),
        (r#"{"type":"TIME_EXPIRED"}"#, |tag, text| PubSubMessage::Notice(Some(tag), text)),
        (r#"{"a":",\"timestamp\":1","timestamp":2}"#, |tag, text| PubSubMessage::Notice(Some(tag), text)),
    ] {
        let mut out = Vec::new();
        publish(&mut out, TAG, id(), message.as_bytes(), Timestamp::from_ms(1_234));
        let text = format!(r#"{{"epoch":17,"version":3,"sessionId":"{ID}","message":{message},"timestamp":1234}}"#);
        assert_eq!(String::from_utf8_lossy(&out), text);
        assert_eq!(read(&text), Some(expected(TAG, bytes(message))), "{text}");
        assert_eq!(published_at(&out), Some(Timestamp::from_ms(1_234)), "{text}");
        let other = read_pubsub_message(&bytes(&text), SessionId(Uuid::from_bits(0)));
        assert_eq!(other, None, "it is another session's");
    }
}

#[test]
fn what_looks_like_ours_and_is_not_is_no_message() {
    let head = format!(r#"{{"epoch":17,"version":3,"sessionId":"{ID}","message":"#);
    for tail in [
        r#"{"a":1},"timestamp":12"#,
        r#"{"a":1},"timestamp":12}}"#,
        r#"{"a":1},"timestamp":x}"#,
        r#"{"a":1}}"#,
        r#"{"a":1,"timestamp":12}"#,
        r#"[{"a":1}],"timestamp":12}"#,
        r#"{"a":},"timestamp":12}"#,
        "",
    ] {
        assert_eq!(read(&format!("{head}{tail}")), None, "{tail}");
    }
    for text in [r#"{"epoch":x}"#, r#"{"epoch":1,"version":}"#, r#"{"epoch":1}"#] {
        assert_eq!(read(text), None, "{text}");
    }
    for text in ["", r#"{"epoch":1,"timestamp":12"#, r#"{"epoch":1,"timestamp":x}"#, r#"{"epoch":}"#] {
        assert_eq!(published_at(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn others_may_publish_objects_of_this_session() {
    let notice = |text: &str| Some(PubSubMessage::Notice(None, bytes(text)));
    assert_eq!(read(r#"{"message":{"type":"X"}}"#), notice(r#"{"type":"X"}"#));
    assert_eq!(read(&format!(r#"{{"sessionId":"{ID}","message": {{"a":[1]}} }}"#)), notice(r#"{"a":[1]}"#));
    let other = "00000000-0000-4000-8000-000000000000";
    for text in [
        format!(r#"{{"sessionId":"{other}","message":{{}}}}"#),
        r#"{"sessionId":7,"message":{}}"#.to_owned(),
        r#"{"message":7}"#.to_owned(),
        r#"{"message":"{}"}"#.to_owned(),
        "{}".to_owned(),
        String::new(),
    ] {
        assert_eq!(read(&text), None, "{text}");
    }
    assert_eq!(published_at(br#"{"message":{},"timestamp":12}"#), None, "it is not ours");
}

#[test]
fn subscribers_of_all_changes_get_the_state_as_a_string() {
    let session = sample::session(r#"metadata={"a":"\""}"#);
    let (mut out, body) = (Vec::new(), encode(&session, after_noon(0)).body());
    publish_update(&mut out, id(), &body, Timestamp::from_ms(12));
    let told: serde_json::Value = serde_json::from_slice(&out).expect("it is JSON");
    let members: Vec<_> = told.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["sessionId", "state", "timestamp"]);
    assert_eq!((told["sessionId"].as_str(), told["timestamp"].as_u64()), (Some(ID), Some(12)));
    assert_eq!(told["state"].as_str().map(str::as_bytes), Some(&body.to_object()[..]));

    let mut out = Vec::new();
    publish_deleted(&mut out, id(), Timestamp::from_ms(12));
    assert_eq!(String::from_utf8_lossy(&out), format!(r#"{{"sessionId":"{ID}","deleted":true,"timestamp":12}}"#));
}

#[test]
fn status_deadline_and_the_last_change_are_found_without_parsing() {
    let pending = sample::session("");
    let running = after(pending.clone(), &[(1_500, Command::Start)]);
    let ended = after(running.clone(), &[(2_500, Command::Cancel)]);
    for (session, status) in [(pending, Status::Pending), (running, Status::Running), (ended, Status::Cancelled)] {
        let encoded = encode(&session, after_noon(9_000));
        for text in [encoded.state(), encoded.frame()] {
            assert_eq!(lifetime_basis(&text), Some((status, session.deadline())));
            assert_eq!(changed_at(&text), Some(session.updated_at));
        }
        assert_eq!(session.deadline().is_some(), status == Status::Running);
    }
    for text in [
        "{}",
        r#"{"status":"what","deadline_at":null}"#,
        r#"{"status":"running"}"#,
        r#"{"status":"running","deadline_at":7}"#,
        r#"{"status":"running","deadline_at":"2026-01-31T12:00:00"}"#,
        r#"{"status":"runningx","deadline_at":null}"#,
    ] {
        assert_eq!(lifetime_basis(text.as_bytes()), None, "{text}");
    }
    for text in ["", "{}", r#"{"updated_at":"2026-01-31T12:00:00.00"}"#, r#"{"updated_at":"2026-01-31T12:00:00.000"}}"#]
    {
        assert_eq!(changed_at(text.as_bytes()), None, "{text}");
    }
}
