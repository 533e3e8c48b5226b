//! Bodies, whatever they are to mean.

use super::super::json::VALUES_MAX;
use super::super::{FieldProblems, NotJson, Object, read_client_message};
use super::creating::created;
use super::sample::NEW;
use super::switching::switched;
use super::table::{body, check_lines, long, parts, problems};

/// Far more than a stack holds frames.
const DEPTH: usize = 20_000;

#[test]
fn a_body_is_an_object() {
    check_lines(
        r#"
        >
          fine
        > {}
          fine
        > {"expected_version" : 1 , "nobody" : [ ] }
          fine
        > []
          invalid_type
        > [{}]
          invalid_type
        > null
          invalid_type
        > "{}"
          invalid_type
        > -1.5
          invalid_type
        > true
          invalid_type
        "#,
        |body| {
            let mut found = FieldProblems::new();
            assert!(Object::parse(body.as_bytes(), &mut found).is_ok());
            if found.is_empty() { "fine".to_owned() } else { problems(&found) }
        },
    );
    let mut found = FieldProblems::new();
    Object::parse(b"[7]", &mut found).expect("the body is JSON");
    assert_eq!((found[0].field.as_str(), &*found[0].message), ("", "Expected object, received array"));
}

#[test]
fn what_is_not_json_is_not_read() {
    for body in [
        "{",
        "{}}",
        "{} {}",
        "{'a':1}",
        "{a:1}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":+1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":0x1}"#,
        r#"{"a":"\x41"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"\u12":1}"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        r#"{"a":tru}"#,
        "\u{feff}{}",
        " ",
        "\0",
        "undefined",
    ] {
        assert!(Object::parse(body.as_bytes(), &mut FieldProblems::new()).is_err(), "{body}");
    }
    for body in [&b"{\"a\":\"\xff\"}"[..], b"\xed\xa0\x80", b"{\"a\":\"\xc0\x80\"}", b"{\"\xe9\":1}"] {
        let read = Object::parse(body, &mut FieldProblems::new());
        assert_eq!(read.err(), Some(NotJson("the body is not UTF-8".to_owned())), "{body:?}");
    }
}

#[test]
fn space_may_stand_between_tokens() {
    let mut spaced = body(NEW, "");
    for token in ["{", "}", "[", "]", ":", ","] {
        spaced = spaced.replace(token, &format!(" \n\t\r{token} \n\t\r"));
    }
    assert_ne!(spaced, body(NEW, ""));
    assert_eq!(parts(&spaced, created), parts(&body(NEW, ""), created));
}

#[test]
fn nothing_is_too_deep_to_be_ignored() {
    let deep = |open: &str, close: &str| format!("{}0{}", open.repeat(DEPTH), close.repeat(DEPTH));
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"":"#, "}]")] {
        let deep = deep(open, close);
        assert_eq!(parts(&body("", &format!("nobody={deep}")), switched), Ok(Vec::new()));
        assert!(parts(&body(NEW, &format!("nobody={deep}")), created).is_ok());
        for field in ["session_id", "sync_mode", "total_time_ms", "participants.0.participant_id", "increment_ms"] {
            let problems = parts(&body(NEW, &format!("{field}={deep}")), created);
            assert!(problems.is_err_and(|problems| problems.starts_with(field)), "{field}");
        }
        let problems = parts(&body(NEW, &format!("metadata={deep}")), created);
        let code = if open.starts_with('[') { "invalid_type" } else { "too_big" };
        assert_eq!(problems, Err(format!("metadata {code}")));
        let problems = parts(&body(NEW, &format!(r#"metadata={{"a":{deep}}}"#)), created);
        assert_eq!(problems, Err("metadata too_big".to_owned()));
        let mut found = FieldProblems::new();
        assert!(Object::parse(deep.as_bytes(), &mut found).is_ok());
        assert_eq!(found.len(), usize::from(open.starts_with('[')));
        let message = long(&format!(r#"{{"type":"SWITCH","request_id":"r","next_participant_id":{deep}}}"#));
        assert!(read_client_message(message.as_bytes()).is_ok());
    }
    for open in ["[", "{", r#"{"a":"#, "[["] {
        let endless = open.repeat(DEPTH);
        assert!(Object::parse(endless.as_bytes(), &mut FieldProblems::new()).is_err());
    }
}

#[test]
fn so_many_values_are_read_wherever_they_are() {
    let list = |count: usize| format!("[{}]", vec!["0"; count - 1].join(","));
    let members = |count: usize| format!("{{{}}}", vec![r#""":0"#; count].join(","));
    let nested = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let objects = |count: usize| format!("{}0{}", r#"{"":"#.repeat(count - 1), "}".repeat(count - 1));
    let inside = |count: usize| format!(r#"{{"a":{},"b":{}}}"#, list(count / 2), nested(count - count / 2));
    // The members of the outermost object count, it itself does not; of what is no object everything does.
    for (body, is_object) in
        [(&list as &dyn Fn(usize) -> String, false), (&members, true), (&nested, false), (&inside, true)]
    {
        let mut found = FieldProblems::new();
        assert!(Object::parse(body(VALUES_MAX).as_bytes(), &mut found).is_ok());
        assert_eq!(found.is_empty(), is_object);
        assert!(found.iter().all(|problem| problem.message == "Expected object, received array"));
    }
    let too_many = VALUES_MAX + 2;
    for body in [list(too_many), members(too_many), nested(too_many), objects(too_many), inside(too_many)] {
        for body in [&body, &body[..body.len() - 1]] {
            let mut found = FieldProblems::new();
            assert!(Object::parse(body.as_bytes(), &mut found).is_ok());
            assert_eq!(problems(&found), "too_big");
            assert_eq!(found[0].message, "Must have at most 50000 values");
        }
    }
}
