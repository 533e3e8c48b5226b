//! Bytes as the body of a request: the server's JSON reader against serde_json, which must accept and refuse the same; and
//! the names that it tells against those that a simple reader finds.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use synckairos::wire::{self, FieldProblems, KnownFields, Object};

use crate::model::Json;

/// Reads a body.
pub(crate) fn run(body: &[u8]) {
    let mut problems = FieldProblems::new();
    let read = Object::parse(body, &mut problems);
    let text = std::str::from_utf8(body).ok();
    let is_json = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    let Ok(object) = read else {
        assert!(!is_json && !body.is_empty(), "refused: {text:?}");
        return;
    };
    let codes: Vec<_> = problems.iter().map(|problem| (problem.field.as_str(), problem.code.name())).collect();
    if codes == [("", "too_big")] {
        // It was not read to its end.
        assert!(body.len() > 50_000, "taken for too long: {text:?}");
        return;
    }
    assert!(is_json || body.is_empty(), "accepted: {text:?}");
    let document = text.and_then(Json::read).unwrap_or(Json::Object(Vec::new()));
    if document.depth() > 500 {
        return;
    }
    assert_eq!(codes, if document.is_object() { &[][..] } else { &[("", "invalid_type")] }, "{text:?}");
    let mut unknown = FieldProblems::new();
    wire::unknown_fields(&object, KnownFields::NONE, &mut unknown);
    let given: Option<BTreeSet<_>> = document.members().iter().map(|(name, _)| name.text()).collect();
    if let Some(given) = given
        && document.members().len() < 32
        && given.iter().all(|name| name.len() <= 128)
    {
        let told: BTreeSet<_> = unknown.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(told, given, "{text:?}");
    }
}
