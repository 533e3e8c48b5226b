//! A change of metadata: the server's merge against the pseudocode of RFC 7396, written down as it stands there.

use synckairos::wire::{self, FieldProblems, Object};

use crate::model::{Json, JsonString, unique};

/// How long metadata may be.
const LEN_MAX: usize = 4_096;

/// The metadata, a newline, and the change.
pub(crate) fn run(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let Some((metadata, change)) = input.split_once('\n') else { return };
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let metadata = Some(metadata).filter(|text| *text != "null");
    if metadata.is_some_and(|text| !is_json(text) || !text.starts_with('{') || !text.ends_with('}')) {
        return;
    }
    let body = format!(r#"{{"metadata":{change}}}"#);
    let mut problems = FieldProblems::new();
    let Ok(object) = Object::parse(body.as_bytes(), &mut problems) else { return };
    let Some(patch) = wire::patch(&object, &mut problems) else { return };
    let Some(merge) = patch.merge else { return };
    let merged = merge.apply(metadata).map(|merged| merged.map(|text| text.to_string()));
    let Some(document) = Json::read(&body) else { return };
    let Some(change) = document.member("metadata") else { return };
    let target = match metadata {
        Some(text) => match Json::read(text) {
            Some(target) => target,
            None => return,
        },
        None => Json::Object(Vec::new()),
    };
    let expected = (*change != Json::Null).then(|| merge_patch(&target, change).compact());
    match expected {
        Some(text) if text.len() > LEN_MAX => assert_eq!(merged, Err(wire::TooLarge), "{input}"),
        expected => assert_eq!(merged, Ok(expected), "{input}"),
    }
}

/// `MergePatch(Target, Patch)` of RFC 7396, section 2.
fn merge_patch(target: &Json, patch: &Json) -> Json {
    let Json::Object(changes) = patch else { return patch.clone() };
    let mut members: Vec<(JsonString, Json)> = unique(target.members());
    for (name, value) in unique(changes) {
        let place = members.iter().position(|(known, _)| *known == name);
        match (place, &value) {
            (Some(place), Json::Null) => drop(members.remove(place)),
            (None, Json::Null) => {}
            (Some(place), _) => members[place].1 = merge_patch(&members[place].1, &value),
            (None, _) => members.push((name, merge_patch(&Json::Null, &value))),
        }
    }
    Json::Object(members)
}
