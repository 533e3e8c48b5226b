//! Pieces of JSON into a buffer. Knows how values are written; does not know what they mean.

use bytes::Bytes;
use serde::Serialize;

use crate::engine::{Millis, Timestamp, Uuid};

use super::instant;

/// A message that is not hot, as its type says.
pub(super) fn json(message: &impl Serialize) -> Bytes {
    serde_json::to_vec(message).expect("texts and numbers can be written to memory").into()
}

/// Appends JSON to a buffer.
pub(super) trait Write {
    /// Bytes as they are: syntax, or JSON that is ready.
    fn raw(&mut self, json: &str);
    /// A number.
    fn number(&mut self, value: u64);
    /// A quoted UUID.
    fn uuid(&mut self, id: Uuid);
    /// A quoted instant.
    fn instant(&mut self, at: Timestamp);
    /// A quoted string, escaped where it must be.
    fn string(&mut self, text: &str);

    /// A length in milliseconds.
    fn millis(&mut self, span: Millis) {
        self.number(span.as_ms());
    }

    /// An instant, or `null`.
    fn instant_or_null(&mut self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.instant(at),
            None => self.raw("null"),
        }
    }

    /// A UUID, or `null`.
    fn uuid_or_null(&mut self, id: Option<Uuid>) {
        match id {
            Some(id) => self.uuid(id),
            None => self.raw("null"),
        }
    }

    /// `true` or `false`.
    fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }
}

impl Write for Vec<u8> {
    fn raw(&mut self, json: &str) {
        self.extend_from_slice(json.as_bytes());
    }

    fn number(&mut self, value: u64) {
        self.raw(itoa::Buffer::new().format(value));
    }

    fn uuid(&mut self, id: Uuid) {
        self.push(b'"');
        self.extend_from_slice(&id.text());
        self.push(b'"');
    }

    fn instant(&mut self, at: Timestamp) {
        self.push(b'"');
        self.extend_from_slice(&instant::text(at));
        self.push(b'"');
    }

    fn string(&mut self, text: &str) {
        serde_json::to_writer(self, text).expect("writing a string to memory does not fail");
    }
}
