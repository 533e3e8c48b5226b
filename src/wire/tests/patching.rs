//! Requests to change settings.

use super::super::{FieldProblems, Object, PatchRequest, patch};
use super::creating::{TIMES, thresholds};
use super::table::{check, parts};
use crate::engine::Millis;

/// The parts of a change.
fn patched(body: &Object<'_>, problems: &mut FieldProblems) -> Option<Vec<String>> {
    let PatchRequest { settings, merge, expected_version } = patch(body, problems)?;
    assert_eq!(settings.metadata, None, "what metadata becomes is not known yet");
    let time = |time: Option<Millis>| time.map_or("null".to_owned(), |time| time.as_ms().to_string());
    let parts = [
        merge.map(|merge| format!("metadata={}", merge.text().unwrap_or("null"))),
        settings.increment.map(|length| format!("increment_ms={}", length.as_ms())),
        settings.time_per_cycle.map(|length| format!("time_per_cycle_ms={}", time(length))),
        settings.max_time.map(|length| format!("max_time_ms={}", time(length))),
        settings.on_timeout.map(|choice| format!("on_timeout={}", choice.name())),
        settings.warn_at.map(|lengths| format!("warn_at_ms=[{}]", thresholds(&lengths))),
        expected_version.map(|version| format!("expected_version={version}")),
    ];
    Some(parts.into_iter().flatten().collect())
}

#[track_caller]
fn patching(table: &str) {
    check("", patched, table);
}

#[test]
fn times_are_whole_and_within_a_second_and_a_day_or_go() {
    for field in ["time_per_cycle_ms", "max_time_ms"] {
        let table = TIMES.replace("> FIELD=null\n      FIELD invalid_type", "> FIELD=null\n      FIELD=null");
        assert_ne!(table, TIMES);
        patching(&table.replace("FIELD", field));
    }
}

#[test]
fn null_gives_the_default_back() {
    patching(
        r#"
        > increment_ms=null & on_timeout=null & warn_at_ms=null & metadata=null & time_per_cycle_ms=null & max_time_ms=null
          metadata=null
          increment_ms=0
          time_per_cycle_ms=null
          max_time_ms=null
          on_timeout=expire
          warn_at_ms=[]
        > expected_version=null
          expected_version invalid_type
        >
          nothing new
        "#,
    );
}

#[test]
fn settings_follow_the_rules_of_creation() {
    patching(
        r#"
        > increment_ms=60000 & on_timeout="notify" & warn_at_ms=[3e4,1] & metadata={"a": [1.50, null]}
          metadata={"a":[1.50,null]}
          increment_ms=60000
          on_timeout=notify
          warn_at_ms=[30000,1]
        > increment_ms=60001 & on_timeout="no" & warn_at_ms=[1,2,3,4,5,6,7,8,9]
          increment_ms too_big
          on_timeout invalid_value
          warn_at_ms too_big
        > increment_ms=0.5 & on_timeout=1 & warn_at_ms=[0,86400001,null]
          increment_ms invalid_type
          on_timeout invalid_value
          warn_at_ms.0 too_small
          warn_at_ms.1 too_big
          warn_at_ms.2 invalid_type
        > warn_at_ms=[]
          warn_at_ms=[]
        > warn_at_ms=[1,2,3,4,5,6,7,86400000]
          warn_at_ms=[1,2,3,4,5,6,7,86400000]
        > metadata=[] & increment_ms=-1
          metadata invalid_type
          increment_ms too_small
        "#,
    );
}

#[test]
fn a_version_is_a_whole_number_from_one() {
    patching(
        r#"
        > expected_version=1
          expected_version=1
        > expected_version=2.0
          expected_version=2
        > expected_version=9007199254740991
          expected_version=9007199254740991
        > expected_version=9007199254740992
          expected_version too_big
        > expected_version=0
          expected_version too_small
        > expected_version=-1
          expected_version too_small
        > expected_version=1.5
          expected_version invalid_type
        > expected_version="1"
          expected_version invalid_type
        "#,
    );
}

#[test]
fn any_other_field_is_invalid() {
    patching(
        r#"
        > total_time_ms=5000
          total_time_ms invalid_value
        > status="expired" & increment_ms=5 & session_id=null & \u0061=1 & Increment_ms=5 & =1
          session_id invalid_value
          status invalid_value
          a invalid_value
          Increment_ms invalid_value
          invalid_value
        > participants=[] & expected_version=0 & max_time_ms=1
          max_time_ms too_small
          expected_version too_small
          participants invalid_value
        > \ud800=1
          \ud800 invalid_value
        > increment\u005fms=5
          increment_ms=5
        > +increment_ms=-1 & +increment_ms=5
          increment_ms=5
        "#,
    );
}

#[test]
fn an_answer_is_no_longer_than_it_need_be() {
    let body = |fields: u64| {
        let fields: Vec<_> = (0..fields).map(|place| format!(r#""field{place}":0"#)).collect();
        format!(r#"{{{},"increment_ms":-1}}"#, fields.join(","))
    };
    let problems = |fields: u64| parts(&body(fields), patched).expect_err("the fields are unknown").lines().count();
    assert_eq!(problems(30), 31);
    assert_eq!(problems(100), 33);
    assert_eq!(problems(45_000), 33);
}
