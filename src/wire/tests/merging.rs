//! Changes of metadata.

use super::super::{FieldProblems, Merge, Object, TooLarge, patch};

/// The change that `json` asks for.
fn change(json: &str) -> Merge {
    let (body, mut problems) = (format!(r#"{{"metadata":{json}}}"#), FieldProblems::new());
    let object = Object::parse(body.as_bytes(), &mut problems).expect("the body is JSON");
    let patch = patch(&object, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    patch.merge.expect("metadata is named")
}

/// `metadata` after a change; `null` is none.
fn merged(metadata: &str, change: &Merge) -> Result<String, TooLarge> {
    let metadata = Some(metadata).filter(|text| *text != "null");
    Ok(change.apply(metadata)?.map_or("null".to_owned(), |text| text.to_string()))
}

#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    for (metadata, patch, expected) in cases {
        assert_eq!(merged(metadata, &change(patch)).as_deref(), Ok(*expected), "{metadata} with {patch}");
    }
}

#[test]
fn merges_as_the_standard_shows() {
    // RFC 7396, appendix A. Where it merges what is no object, that stands in a member here.
    check(&[
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"{"m":["a","b"]}"#, r#"{"m":["c","d"]}"#, r#"{"m":["c","d"]}"#),
        (r#"{"m":{"a":"b"}}"#, r#"{"m":["c"]}"#, r#"{"m":["c"]}"#),
        (r#"{"m":{"a":"foo"}}"#, r#"{"m":null}"#, "{}"),
        (r#"{"m":{"a":"foo"}}"#, r#"{"m":"bar"}"#, r#"{"m":"bar"}"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        (r#"{"m":[1,2]}"#, r#"{"m":{"a":"b","c":null}}"#, r#"{"m":{"a":"b"}}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ]);
}

#[test]
fn null_takes_all_away_and_anything_else_brings_metadata() {
    check(&[
        (r#"{"a":1}"#, "null", "null"),
        ("null", "null", "null"),
        ("null", "{}", "{}"),
        ("null", r#"{"a":null}"#, "{}"),
        ("null", r#"{"a":{"b":null,"c":1}}"#, r#"{"a":{"c":1}}"#),
        (r#"{"a":1}"#, "{}", r#"{"a":1}"#),
    ]);
}

#[test]
fn order_and_text_stay() {
    check(&[
        (r#"{"z":1.50,"a":2,"m":3}"#, r#"{ "n" : 1E5 , "a" : 2.0 }"#, r#"{"z":1.50,"a":2.0,"m":3,"n":1E5}"#),
        (r#"{"z":1,"a":2,"m":3}"#, r#"{"z":null}"#, r#"{"a":2,"m":3}"#),
        (r#"{"z":1,"a":2,"m":3}"#, r#"{"m":null}"#, r#"{"z":1,"a":2}"#),
        (r#"{"é\"":1}"#, r#"{"\u00e9\u0022":2,"\u0061":[null]}"#, r#"{"é\"":2,"a":[null]}"#),
        (r#"{"a":[{"b":null}]}"#, r#"{"c":[{"b":null}]}"#, r#"{"a":[{"b":null}],"c":[{"b":null}]}"#),
        (
            r#"{"in":{"$serde_json::private::Number":"1"}}"#,
            r#"{"in":{"$serde_json::private::RawValue":"{}"}}"#,
            r#"{"in":{"$serde_json::private::Number":"1","$serde_json::private::RawValue":"{}"}}"#,
        ),
    ]);
}

#[test]
fn of_members_with_one_name_the_last_counts() {
    check(&[
        (r#"{"a":1}"#, r#"{"a":2,"a":3}"#, r#"{"a":3}"#),
        (r#"{"a":1}"#, r#"{"a":2,"a":null}"#, "{}"),
        ("{}", r#"{"b":2,"a":1,"b":3}"#, r#"{"b":3,"a":1}"#),
        ("{}", r#"{"b":{"c":1,"c":{"d":1,"\u0064":2}},"a":1,"b":{"e":3}}"#, r#"{"b":{"e":3},"a":1}"#),
        ("{}", r#"{"a":[{"b":1,"c":2,"b":[{"d":1,"d":2}]}]}"#, r#"{"a":[{"b":[{"d":2}],"c":2}]}"#),
        ("{}", r#"{"b":2,"b":null}"#, "{}"),
        (r#"{"a":1,"b":0,"a":2}"#, r#"{"a":null}"#, r#"{"b":0}"#),
    ]);
}

#[test]
fn what_was_not_written_here_is_merged_all_the_same() {
    check(&[
        (
            r#"{ "a" : { "b" : 1e-999 } , "\u0063" : "\ud800" }"#,
            r#"{"d":1}"#,
            r#"{"a":{"b":1e-999},"c":"\ud800","d":1}"#,
        ),
        (r#"{ "a" : { "b" : [ 1, 2 ] } }"#, r#"{"a":{"c":1}}"#, r#"{"a":{"b":[1,2],"c":1}}"#),
        (r#"{"\u0061\u0000":1,"a\u0000":"\u0062\u0000"}"#, r#"{"c":1}"#, r#"{"a\u0000":"b\u0000","c":1}"#),
    ]);
}

/// The work that a merge takes is as long as its parts: with names that repeat, with as many names as there can be, and at
/// any depth. Each of these took a core for seconds, or would.
#[test]
fn a_merge_is_as_quick_as_its_parts_are_long() {
    let repeated = format!("{{{}}}", vec![r#""":{}"#; 682].join(","));
    let many = format!("{{{}}}", (0..2_040).map(|n| format!(r#""{n:x}":1"#)).collect::<Vec<_>>().join(","));
    let nested = |members: &str| format!("{}{{{members}}}{}", r#"{"":"#.repeat(90), "}".repeat(90));
    let members: Vec<_> = (0..350).map(|n| format!(r#""{n:x}":{{}}"#)).collect();
    for (target, patch) in [
        (repeated.clone(), many.clone()),
        (repeated.clone(), format!("{{{}}}", vec![r#""":{"a":1,"a":{}}"#; 680].join(","))),
        (nested(&members.join(",")), nested(&members.join(",").replace("{}", r#"{"x":1}"#))),
    ] {
        let (target, patch) = (change(&target), change(&patch));
        for _ in 0..100 {
            let _ = patch.apply(target.text());
        }
    }
}

#[test]
fn what_comes_of_a_change_is_no_longer_than_metadata_may_be() {
    let text = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
    assert_eq!(merged("null", &change(&text(4_088))), Ok(text(4_088)));
    assert_eq!(merged("null", &change(&text(4_089))), Err(TooLarge));
    assert_eq!(merged(&text(4_088), &change(r#"{"b":1}"#)), Err(TooLarge));
    assert_eq!(merged(&text(4_082), &change(r#"{"b":1}"#)).map(|text| text.len()), Ok(4_096));
    assert_eq!(merged(&text(4_088), &change(r#"{"a":null,"b":1}"#)).as_deref(), Ok(r#"{"b":1}"#));
}

#[test]
fn a_change_may_name_all_that_there_is() {
    let members = |value: &str| (0..450).map(|place| format!(r#""{place:x}":{value}"#)).collect::<Vec<_>>().join(",");
    let full = format!("{{{}}}", members("0"));
    let emptied = format!("{{{},\"new\":\"{}\"}}", members("null"), "x".repeat(4_000));
    assert_eq!(merged(&full, &change(&emptied)).map(|text| text.len()), Ok(4_010));
}

#[test]
fn a_merge_is_no_deeper_than_its_parts() {
    let nested = |inner: &str| format!("{}{inner}{}", r#"{"a":"#.repeat(99), "}".repeat(99));
    let merge = change(&nested(r#"{"c":2}"#));
    assert_eq!(merged(&nested(r#"{"b":1}"#), &merge), Ok(nested(r#"{"b":1,"c":2}"#)));
    assert_eq!(merged("{}", &merge), Ok(nested(r#"{"c":2}"#)));
}
