//! What a request asks for, in one form however it is written: by it the same request is known again. Does not know what the
//! fields mean.

use super::compact;
use super::json_object::Object;

/// Fields that say how a message gets there, and not what it asks for.
const ENVELOPE: [&str; 5] = ["type", "timestamp", "request_id", "token", "idempotency_key"];

/// The fields of a request, as compact JSON in the order of their names. Fields that requests do not have are left out.
pub fn canonical(request: &Object<'_>) -> Vec<u8> {
    let fields = request.fields().filter(|(name, _)| !ENVELOPE.contains(name));
    let mut fields: Vec<_> = fields.map(|(name, value)| (name, compact::kept(value.get()))).collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    let mut text = Vec::new();
    for (name, value) in fields {
        for piece in [name, ":", &value, "\n"] {
            text.extend_from_slice(piece.as_bytes());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use crate::wire::Object;

    fn of(text: &str) -> Vec<u8> {
        canonical(&Object::parse(text.as_bytes(), &mut Vec::new()).expect("it is JSON"))
    }

    #[test]
    fn requests_that_ask_for_the_same_are_the_same() {
        let rest = of(r#"{"metadata": {"a": [1, 2], "b": "\u00e9"}, "expected_version":3}"#);
        let message = r#"{"type":"UPDATE","request_id":"7","idempotency_key":"k","x":1,
            "expected_version":3,"metadata":{"a":[1,2],"b":"é"}}"#;
        assert_eq!(rest, of(message));
        for other in ["", "{}", r#"{"expected_version":3}"#, r#"{"expected_version":3,"metadata":{"a":[1,2],"b":"e"}}"#]
        {
            assert_ne!(rest, of(other), "{other}");
        }
        assert_eq!(of(""), of(" { } "));
    }
}
