//! Bytes that were published on a session's channel, by whomever; and our own messages, which are read as they were written.

use bytes::Bytes;
use synckairos::engine::{SessionId, StateTag, Timestamp, Uuid};
use synckairos::wire::{self, PubSubMessage};

use crate::choices::Choices;

const ID: SessionId = SessionId(Uuid::from_bits(0x550e_8400_e29b_41d4_a716_4466_5544_0000));

/// Reads an envelope, or writes one around a message.
pub(crate) fn run(input: &[u8]) {
    let envelope = Bytes::copy_from_slice(input);
    let _ = wire::published_at(&envelope);
    if let Some(message) = wire::read_pubsub_message(&envelope, ID) {
        let (PubSubMessage::State(_, text) | PubSubMessage::Deleted(_, text) | PubSubMessage::Notice(_, text)) =
            message;
        let is_object = text.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
        assert!(is_object && std::str::from_utf8(&text).is_ok(), "clients are sent {text:?}");
    }
    let mut choices = Choices::new(input);
    let tag = StateTag { epoch: choices.number(), version: choices.number() };
    let now = Timestamp::from_ms(choices.number());
    let message = choices.rest();
    let is_text = std::str::from_utf8(message).is_ok();
    if !is_text || !message.starts_with(b"{") || serde_json::from_slice::<serde::de::IgnoredAny>(message).is_err() {
        return;
    }
    let mut out = Vec::new();
    wire::publish(&mut out, tag, ID, message, now);
    let fits = [tag.epoch, tag.version, now.as_ms()].iter().all(|number| *number < 10_u64.pow(19));
    let read = wire::read_pubsub_message(&Bytes::from(out.clone()), ID);
    let (told, text) = match read {
        Some(PubSubMessage::State(told, text) | PubSubMessage::Deleted(told, text)) => (Some(told), text),
        Some(PubSubMessage::Notice(told, text)) => (told, text),
        None => {
            assert!(!fits, "{input:?}");
            return;
        }
    };
    assert_eq!((told, &text[..]), (Some(tag), message), "{input:?}");
    assert_eq!(wire::published_at(&out), Some(now), "{input:?}");
}
