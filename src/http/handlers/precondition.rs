//! Conditional requests (RFC 9110, section 13): which states a client names. Does not know whether a
//! session is in one of them.

use hyper::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::engine::{Precondition, StateTag};

/// What must hold for a change. Tags are compared by their value: a proxy that compresses answers makes them weak, and
/// a tag of ours names one state whatever its bytes are. `*` asks for nothing but that the session exists.
pub(in crate::http) fn of_change(headers: &HeaderMap, expected_version: Option<u64>) -> Precondition {
    let one_of = headers.contains_key(IF_MATCH).then(|| tags(headers, &IF_MATCH)).flatten();
    Precondition { one_of, version: expected_version }
}

/// Whether a reader knows the state `tag` already.
pub(in crate::http) fn is_known(headers: &HeaderMap, tag: StateTag) -> bool {
    headers.contains_key(IF_NONE_MATCH) && tags(headers, &IF_NONE_MATCH).is_none_or(|tags| tags.contains(&tag))
}

/// The states that a header names; `None` is any. What is no tag of ours names none.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<StateTag>> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = Vec::new();
    for entry in values.flat_map(|value| value.split(',')).map(str::trim) {
        if entry == "*" {
            return None;
        }
        tags.extend(tag(entry.strip_prefix("W/").unwrap_or(entry)));
    }
    Some(tags)
}

fn tag(entry: &str) -> Option<StateTag> {
    let (epoch, version) = entry.strip_prefix('"')?.strip_suffix('"')?.split_once('.')?;
    Some(StateTag { epoch: number(epoch)?, version: number(version)? })
}

/// Digits as we write them: a tag is compared as text, so `01` is not `1`.
fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{is_known, of_change};
    use crate::engine::StateTag;
    use hyper::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};

    #[test]
    fn compares_tags_by_their_value() {
        let tag = StateTag { epoch: 170, version: 3 };
        for (value, is_named) in [
            ("\"170.3\"", true),
            ("\"1.1\", \"170.3\"", true),
            ("*", true),
            ("W/\"170.3\"", true),
            ("\"1.1\",W/\"170.3\"", true),
            ("w/\"170.3\"", false),
            ("W/\"170.4\"", false),
            ("\"170.4\"", false),
            ("\"0170.3\"", false),
            ("\"170.+3\"", false),
            ("170.3", false),
            ("", false),
            ("\"170.3", false),
        ] {
            let headers = |name| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            let precondition = of_change(&headers(IF_MATCH), None);
            assert_eq!(precondition.one_of.is_none_or(|tags| tags.contains(&tag)), is_named, "If-Match: {value}");
            assert_eq!(is_known(&headers(IF_NONE_MATCH), tag), is_named, "If-None-Match: {value}");
        }
        assert_eq!(of_change(&HeaderMap::new(), Some(3)).version, Some(3));
        assert!(!is_known(&HeaderMap::new(), tag));
    }
}
