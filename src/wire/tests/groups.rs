//! Budgets of groups.

use super::creating::{TIMES, created};
use super::sample::NEW;
use super::table::check;

const GROUPED: &str = r#" & sync_mode="per_group" & participants.0.group_id="@c" & participants.1.group_id="@d""#;

#[track_caller]
fn grouping(edits: &str, table: &str) {
    check(&format!("{NEW}{GROUPED}{edits}"), created, table);
}

#[test]
fn a_budget_is_a_known_group_and_a_time() {
    grouping(
        "",
        r#"
        > groups=[]
          nothing new
        > groups=[{"group_id":"@c","total_time_ms":5e3}]
          group @c=5000
        > groups=[{"total_time_ms":86400000,"group_id":"@d","colour":null},{"group_id":"@c","total_time_ms":1000}]
          group @d=86400000
          group @c=1000
        > groups=[{"group_id":"@a","total_time_ms":5000}]
          groups.0.group_id invalid_value
        > groups=[{"group_id":"@c","total_time_ms":5000},{"group_id":"00000000-0000-4000-8000-00000000000C","total_time_ms":6000}]
          groups.1.group_id invalid_value
        > groups=[{"group_id":"c","total_time_ms":5000},{"group_id":7,"total_time_ms":5000}]
          groups.0.group_id invalid_format
          groups.1.group_id invalid_type
        > groups=[{},null]
          groups.0.group_id invalid_type
          groups.0.total_time_ms invalid_type
          groups.1 invalid_type
        > groups=null
          groups invalid_type
        > groups={"@c":5000}
          groups invalid_type
        "#,
    );
}

#[test]
fn a_budget_is_a_time_like_others() {
    for case in TIMES.split("> ").skip(1) {
        let (request, expected) = case.split_once('\n').expect("a request has an answer");
        let json = request.trim().strip_prefix("FIELD=").expect("each request sets the field");
        let expected = expected.replace("FIELD=", "group @c=").replace("FIELD", "groups.0.total_time_ms");
        grouping("", &format!("> groups=[{{\"group_id\":\"@c\",\"total_time_ms\":{json}}}]\n{expected}"));
    }
}

#[test]
fn groups_may_be_given_in_any_mode() {
    for mode in ["per_participant", "per_cycle", "global", "count_up"] {
        grouping(
            &format!(r#" & sync_mode="{mode}""#),
            r#"
            > groups=[{"group_id":"@c","total_time_ms":5000}]
              group @c=5000
            "#,
        );
    }
}

#[test]
fn no_group_is_called_unknown_while_the_participants_are() {
    grouping(
        r#" & groups=[{"group_id":"@c","total_time_ms":5000}]"#,
        r#"
        > -participants.0.total_time_ms
          participants.0.total_time_ms invalid_type
        > participants=7
          participants invalid_type
        > participants=7 & groups=[{"group_id":"@c","total_time_ms":1},{"group_id":"@c","total_time_ms":5000}]
          participants invalid_type
          groups.0.total_time_ms too_small
          groups.1.group_id invalid_value
        "#,
    );
}
