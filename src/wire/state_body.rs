//! A state's JSON without its opening brace, so that a store, a message or an answer can put members of its own before it
//! and share the bytes. The only place that knows of the brace. Does not know what the state says.

use std::ops::Deref;

use bytes::{Buf, Bytes};

/// A state's JSON object without its opening brace. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBody(Bytes);

impl StateBody {
    /// The body of a state that is a JSON object.
    pub(super) fn of_object(mut object: Bytes) -> Self {
        debug_assert!(object.starts_with(b"{"), "this is no object");
        object.advance(1);
        Self(object)
    }

    /// The members that end a JSON object, its closing brace included.
    pub(super) fn of_members(members: Bytes) -> Self {
        Self(members)
    }

    /// Writes the state as a JSON object.
    pub(super) fn write_object(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(&self.0);
    }

    /// Writes the state as the last members of an object that is open.
    pub fn write_members(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    /// Writes the state as a JSON object inside of a JSON string.
    pub(super) fn write_escaped(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        escape(out, &self.0);
    }

    /// The state as a JSON object in two pieces that share the bytes; `head` ends with the object's opening brace.
    pub(super) fn behind(self, head: &'static [u8]) -> [Bytes; 2] {
        debug_assert!(head.ends_with(b"{"), "no object is open");
        [Bytes::from_static(head), self.0]
    }

    /// The state as a JSON object of its own.
    pub fn to_object(&self) -> Vec<u8> {
        let mut object = Vec::with_capacity(1 + self.0.len());
        self.write_object(&mut object);
        object
    }
}

impl Deref for StateBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// JSON inside of a string: it has no control characters, so that only quotes and backslashes are escaped. Every eighth byte
/// of a state is a quote: writing the backslash always, and over it where none is wanted, costs less than to branch.
fn escape(out: &mut Vec<u8>, json: &[u8]) {
    let mut at = out.len();
    out.resize(at + 2 * json.len() + 1, 0);
    for &byte in json {
        out[at] = b'\\';
        at += usize::from(byte == b'"' || byte == b'\\');
        out[at] = byte;
        at += 1;
    }
    out.truncate(at);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::StateBody;

    #[test]
    fn a_state_is_the_same_object_wherever_it_is_written() {
        let object = br#"{"a":"b\"c"}"#;
        let body = StateBody::of_object(Bytes::from_static(object));
        assert_eq!(body.to_object(), object);
        let mut stored = br#"{"_":1,"#.to_vec();
        body.write_members(&mut stored);
        assert_eq!(stored, br#"{"_":1,"a":"b\"c"}"#);
        assert_eq!(StateBody::of_members(Bytes::from(stored).slice(7..)), body);
        let mut message = br#"{"state":""#.to_vec();
        body.write_escaped(&mut message);
        assert_eq!(message, br#"{"state":"{\"a\":\"b\\\"c\"}"#);
        assert_eq!(body.behind(br#"{"data":{"#).concat(), br#"{"data":{"a":"b\"c"}"#);
    }
}
