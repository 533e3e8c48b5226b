//! Metadata that is given as a whole.

use super::creating::created;
use super::sample::NEW;
use super::table::{body, check, parts};

/// What becomes of `json` as metadata.
fn kept(json: &str) -> Result<String, String> {
    let parts = parts(&body(NEW, &format!("metadata={json}")), created)?;
    let metadata = parts.iter().find_map(|part| part.strip_prefix("metadata="));
    Ok(metadata.expect("there is metadata").to_owned())
}

#[test]
fn it_is_an_object_and_comes_back_as_it_was() {
    check(
        NEW,
        created,
        r#"
        > metadata={}
          metadata={}
        > metadata={ "z" : 1 , "a" : [ 1 , { } , [ ] ] , "m" : { "y" : null , "b" : false } }
          metadata={"z":1,"a":[1,{},[]],"m":{"y":null,"b":false}}
        > metadata={"n":[1.0,1.50,-0,1e5,1E5,1e+05,1e-7,12345678901234567890123,0.1000000000000000055511151231257827]}
          metadata={"n":[1.0,1.50,-0,1e5,1E5,1e+05,1e-7,12345678901234567890123,0.1000000000000000055511151231257827]}
        > metadata={"a b":"  {\"x\": [1, 2]}  ","":"\\","t":"\\\" : \\"}
          metadata={"a b":"  {\"x\": [1, 2]}  ","":"\\","t":"\\\" : \\"}
        > metadata={"\u00e9":"\ud83d\ude00\/\u0041\u0009"}
          metadata={"é":"😀/A\t"}
        > metadata={"$serde_json::private::Number":"1","in":{"$serde_json::private::Number":"1"}}
          metadata={"$serde_json::private::Number":"1","in":{"$serde_json::private::Number":"1"}}
        > metadata={"in":{"$serde_json::private::RawValue":"[ 1 ]"}}
          metadata={"in":{"$serde_json::private::RawValue":"[ 1 ]"}}
        > metadata=[]
          metadata invalid_type
        > metadata="{}"
          metadata invalid_type
        > metadata=7
          metadata invalid_type
        > metadata=null
          metadata invalid_type
        "#,
    );
}

#[test]
fn of_names_that_repeat_the_last_value_counts() {
    check(
        NEW,
        created,
        r#"
        > metadata={"a":1,"b":2,"a":3}
          metadata={"a":3,"b":2}
        > metadata={"a":1,"\u0061":{"b":[{"c":1,"c":2},3]}}
          metadata={"a":{"b":[{"c":2},3]}}
        > metadata={"":0,"":0,"":[{},{"":1,"":2}]}
          metadata={"":[{},{"":2}]}
        > metadata={"a":{"x":1},"b":{"x":2},"a":{"y":3}}
          metadata={"a":{"y":3},"b":{"x":2}}
        "#,
    );
    let repeated = format!("{{{}}}", (0..600).map(|n| format!(r#""{}":{n}"#, n % 20)).collect::<Vec<_>>().join(","));
    let expected = format!("{{{}}}", (0..20).map(|n| format!(r#""{n}":{}"#, 580 + n)).collect::<Vec<_>>().join(","));
    assert_eq!(kept(&repeated), Err("metadata too_big".to_owned()));
    let repeated = format!("{{{}}}", (0..400).map(|n| format!(r#""{}":{n}"#, n % 20)).collect::<Vec<_>>().join(","));
    assert_eq!(kept(&repeated), Ok(expected.replace("58", "38").replace("59", "39")));
}

#[test]
fn what_a_database_could_not_keep_is_refused() {
    check(
        NEW,
        created,
        r#"
        > metadata={"a":"\u0000"}
          metadata invalid_value
        > metadata={"\u0000":1}
          metadata invalid_value
        > metadata={"a":[{"b\u0000":1}]}
          metadata invalid_value
        > metadata={"a":"\ud800"}
          metadata invalid_value
        > metadata={"\udc00":1}
          metadata invalid_value
        > metadata={"a":["\ud800\ud800"]}
          metadata invalid_value
        > metadata={"a":1e309}
          metadata too_big
        > metadata={"a":[-1e999]}
          metadata too_big
        > metadata={"a":1e-999}
          metadata too_big
        > metadata={"a":1e-309}
          metadata too_big
        > metadata={"a":[1e-9999,1e-9999]}
          metadata too_big
        > metadata={"a":1e308,"b":1e-308,"c":"\\u0000 \\ud800"}
          metadata={"a":1e308,"b":1e-308,"c":"\\u0000 \\ud800"}
        "#,
    );
}

#[test]
fn it_has_at_most_4096_bytes_without_space() {
    // `{"a":""}` has eight.
    for (fits, text) in [
        (true, "x".repeat(4_088)),
        (false, "x".repeat(4_089)),
        (true, "é".repeat(2_044)),
        (false, "é".repeat(2_045)),
        (true, r"\u00e9".repeat(2_044)),
        (false, r"\u00e9".repeat(2_045)),
        (true, r"\u0001".repeat(681)),
        (false, r"\u0001".repeat(682)),
        (true, " ".repeat(4_088)),
        (false, " ".repeat(4_089)),
    ] {
        for json in [format!(r#"{{"a":"{text}"}}"#), format!(" \n{{ \"a\"\t: \"{text}\"\r}} ")] {
            let kept = kept(&json);
            match fits {
                true => assert!(kept.is_ok_and(|kept| kept.len() <= 4_096 && !kept.contains('\n'))),
                false => assert_eq!(kept, Err("metadata too_big".to_owned())),
            }
        }
    }
    assert_eq!(kept(&format!(r#"{{{}"a":1}}"#, " ".repeat(100_000))).as_deref(), Ok(r#"{"a":1}"#));
    assert_eq!(kept(&format!(r#"{{"a":{}}}"#, "1".repeat(100_000))), Err("metadata too_big".to_owned()));
}

#[test]
fn it_is_nested_at_most_a_hundred_deep() {
    let nested = |depth: usize| format!("{}{}", r#"{"a":"#.repeat(depth - 1) + "{}", "}".repeat(depth - 1));
    let listed = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    for json in [nested(100), listed(100), format!(r#"{{"a":"{}"}}"#, "[{".repeat(1_000))] {
        assert_eq!(kept(&json), Ok(json));
    }
    for json in [nested(101), listed(101)] {
        assert_eq!(kept(&json), Err("metadata too_big".to_owned()));
    }
    let wide = format!(r#"{{"a":[{}0]}}"#, "[],".repeat(1_000));
    assert_eq!(kept(&wide), Ok(wide));
}
