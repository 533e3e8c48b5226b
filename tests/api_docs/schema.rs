//! The part of JSON Schema (2020-12) that the description uses. A keyword that is not known here fails the
//! test that meets it, so that nothing is described without being checked.

use std::collections::HashSet;

use serde_json::Value;

use test_support::instant;

/// What a `$ref` leads to; a schema without one is itself.
pub(super) fn resolve<'d>(document: &'d Value, node: &'d Value) -> &'d Value {
    match node["$ref"].as_str() {
        Some(target) => {
            let pointer = target.strip_prefix('#').expect("there is one document");
            let found = document.pointer(pointer).unwrap_or_else(|| panic!("{target} leads nowhere"));
            resolve(document, found)
        }
        None => node,
    }
}

/// Everything that is wrong with a value, each with where it is.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "", &mut faults);
    faults
}

fn check(document: &Value, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let holds = match keyword.as_str() {
            // A pattern says again, for programs, what the format beside it says.
            "description" | "default" | "examples" | "pattern" => true,
            "$ref" => {
                check(document, resolve(document, schema), value, place, faults);
                true
            }
            "type" => has_type(rule.as_str().expect("one type"), value),
            "format" => has_format(rule.as_str().expect("a format"), value),
            "const" => value == rule,
            "enum" => list(rule).contains(value),
            "minimum" => value.as_f64().is_none_or(|number| Some(number) >= rule.as_f64()),
            "maximum" => value.as_f64().is_none_or(|number| Some(number) <= rule.as_f64()),
            "minLength" | "minItems" => len(value).is_none_or(|len| Some(len) >= rule.as_u64()),
            "maxLength" | "maxItems" => len(value).is_none_or(|len| Some(len) <= rule.as_u64()),
            "items" => {
                for (n, one) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, rule, one, &format!("{place}.{n}"), faults);
                }
                true
            }
            "properties" => {
                for (name, field) in rule.as_object().expect("properties") {
                    if let Some(value) = value.get(name) {
                        check(document, field, value, &format!("{place}.{name}"), faults);
                    }
                }
                true
            }
            "required" => {
                let has = |name: &Value| value.get(name.as_str().expect("a name")).is_some();
                !value.is_object() || list(rule).iter().all(has)
            }
            "additionalProperties" => {
                assert_eq!(rule, false, "nothing else is known here");
                let known: HashSet<_> =
                    schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
                value.as_object().into_iter().flatten().all(|(name, _)| known.contains(name))
            }
            "oneOf" => list(rule).iter().filter(|one| self::faults(document, one, value).is_empty()).count() == 1,
            other => panic!("unknown keyword {other}"),
        };
        if !holds {
            faults.push(format!("{place}: {keyword} {rule}: {value}"));
        }
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("a list")
}

/// The number of characters or entries.
fn len(value: &Value) -> Option<u64> {
    let text = value.as_str().map(|text| text.chars().count());
    text.or(value.as_array().map(Vec::len)).map(|len| len as u64)
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("unknown type {other}"),
    }
}

fn has_format(name: &str, value: &Value) -> bool {
    match name {
        _ if !value.is_string() => true,
        "uuid" => {
            let text = value.as_str().unwrap_or_default();
            let groups: Vec<_> = text.split('-').map(str::len).collect();
            groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        }
        "date-time" => instant::ms(value) > 0,
        other => panic!("unknown format {other}"),
    }
}

#[test]
fn finds_what_is_wrong() {
    use serde_json::json;
    let document = json!({"short": {"type": "string", "maxLength": 2}});
    let schema = json!({
        "type": "object",
        "required": ["a"],
        "additionalProperties": false,
        "properties": {
            "a": {"oneOf": [{"$ref": "#/short"}, {"type": "null"}]},
            "b": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer", "minimum": 1, "maximum": 3}},
            "c": {"enum": [1, "x"]},
            "d": {"type": "string", "format": "uuid"},
        },
    });
    for (value, faulty) in [
        (json!({"a": "xy"}), 0),
        (json!({"a": null, "b": [1, 3.0], "c": "x", "d": "00000000-0000-4000-8000-000000000000"}), 0),
        (json!({}), 1),
        (json!([]), 1),
        (json!({"a": "xyz"}), 1),
        (json!({"a": null, "e": 1}), 1),
        (json!({"a": null, "b": []}), 1),
        (json!({"a": null, "b": [1, 2, 3]}), 1),
        (json!({"a": null, "b": [0, 4]}), 2),
        (json!({"a": null, "b": ["1"]}), 1),
        (json!({"a": null, "b": [1.5]}), 1),
        (json!({"a": null, "c": 2}), 1),
        (json!({"a": null, "d": "x"}), 1),
    ] {
        let faults = faults(&document, &schema, &value);
        assert_eq!(faults.len(), faulty, "{value}: {faults:?}");
    }
}
