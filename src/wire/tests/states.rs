//! States as clients see them, byte for byte.

use super::super::encode;
use super::sample::{self, SWITCH, after, after_noon};
use super::table::long;
use crate::engine::{Command, Session};

#[track_caller]
fn check(session: &Session, expected: &[&str]) {
    let encoded = encode(session, after_noon(9_000));
    assert_eq!(std::str::from_utf8(&encoded.state()), Ok(long(&expected.concat()).as_str()));
}

#[test]
fn what_waits_has_nulls_and_nothing_optional() {
    check(
        &sample::session(""),
        &[
            r#"{"session_id":"@1","sync_mode":"per_participant","status":"pending","version":1,"#,
            r#""epoch":1769860800000,"participants":["#,
            r#"{"participant_id":"@a","participant_index":0,"total_time_ms":300000,"time_used_ms":0,"#,
            r#""time_remaining_ms":300000,"cycle_count":0,"is_active":false,"has_expired":false,"#,
            r#""initial_time_ms":300000},"#,
            r#"{"participant_id":"@b","participant_index":1,"total_time_ms":300000,"time_used_ms":0,"#,
            r#""time_remaining_ms":300000,"cycle_count":0,"is_active":false,"has_expired":false,"#,
            r#""initial_time_ms":300000}],"#,
            r#""active_participant_id":null,"total_time_ms":600000,"time_per_cycle_ms":null,"#,
            r#""cycle_started_at":null,"session_started_at":null,"session_completed_at":null,"#,
            r#""increment_ms":0,"deadline_at":null,"on_timeout":"expire","#,
            r#""created_at":"2026-01-31T12:00:00.000Z","updated_at":"2026-01-31T12:00:00.000Z"}"#,
        ],
    );
}

#[test]
fn what_runs_shows_its_deadline_and_all_that_was_given() {
    let session = sample::session(concat!(
        r#"sync_mode="per_group" & participants.0.group_id="@c" & participants.1.group_id="@d""#,
        r#" & groups=[{"group_id":"@d","total_time_ms":5000}] & time_per_cycle_ms=2000 & increment_ms=250"#,
        r#" & max_time_ms=86400000 & metadata={"z":[1.50],"a":"é"} & on_timeout="notify" & warn_at_ms=[3000,1000]"#,
        r#" & participants.0.participant_index=9"#,
    ));
    check(
        &after(session, &[(1_000, Command::Start), (3_000, SWITCH)]),
        &[
            r#"{"session_id":"@1","sync_mode":"per_group","status":"running","version":3,"#,
            r#""epoch":1769860800000,"participants":["#,
            r#"{"participant_id":"@a","participant_index":9,"total_time_ms":300000,"time_used_ms":0,"#,
            r#""time_remaining_ms":300000,"cycle_count":0,"is_active":true,"has_expired":false,"#,
            r#""group_id":"@c","initial_time_ms":300000},"#,
            r#"{"participant_id":"@b","participant_index":1,"total_time_ms":3250,"time_used_ms":2000,"#,
            r#""time_remaining_ms":3250,"cycle_count":1,"is_active":false,"has_expired":false,"#,
            r#""group_id":"@d","initial_time_ms":300000}],"#,
            r#""active_participant_id":"@a","total_time_ms":600000,"time_per_cycle_ms":2000,"#,
            r#""cycle_started_at":"2026-01-31T12:00:03.000Z","session_started_at":"2026-01-31T12:00:01.000Z","#,
            r#""session_completed_at":null,"increment_ms":250,"max_time_ms":86400000,"#,
            r#""deadline_at":"2026-01-31T12:05:03.000Z","on_timeout":"notify","warn_at_ms":[3000,1000],"#,
            r#""groups":[{"group_id":"@c","total_time_ms":300000,"time_remaining_ms":300000},"#,
            r#"{"group_id":"@d","total_time_ms":5000,"time_remaining_ms":3250}],"#,
            r#""metadata":{"z":[1.50],"a":"é"},"#,
            r#""created_at":"2026-01-31T12:00:00.000Z","updated_at":"2026-01-31T12:00:03.000Z"}"#,
        ],
    );
}

#[test]
fn what_ran_out_says_when_and_whose() {
    let session = sample::session("participants.0.total_time_ms=2000");
    check(
        &after(session, &[(0, Command::Start), (2_345, Command::Settle)]),
        &[
            r#"{"session_id":"@1","sync_mode":"per_participant","status":"expired","version":3,"#,
            r#""epoch":1769860800000,"participants":["#,
            r#"{"participant_id":"@a","participant_index":0,"total_time_ms":0,"time_used_ms":2000,"#,
            r#""time_remaining_ms":0,"cycle_count":1,"is_active":false,"has_expired":true,"#,
            r#""initial_time_ms":2000,"expired_at":"2026-01-31T12:00:02.000Z"},"#,
            r#"{"participant_id":"@b","participant_index":1,"total_time_ms":300000,"time_used_ms":0,"#,
            r#""time_remaining_ms":300000,"cycle_count":0,"is_active":false,"has_expired":false,"#,
            r#""initial_time_ms":300000}],"#,
            r#""active_participant_id":null,"total_time_ms":600000,"time_per_cycle_ms":null,"#,
            r#""cycle_started_at":null,"session_started_at":"2026-01-31T12:00:00.000Z","#,
            r#""session_completed_at":"2026-01-31T12:00:02.000Z","increment_ms":0,"deadline_at":null,"#,
            r#""on_timeout":"expire","#,
            r#""created_at":"2026-01-31T12:00:00.000Z","updated_at":"2026-01-31T12:00:02.345Z"}"#,
        ],
    );
}

#[test]
fn metadata_that_is_empty_is_not_absent() {
    let encoded = encode(&sample::session("metadata={}"), after_noon(0));
    let state = String::from_utf8_lossy(&encoded.state()).into_owned();
    assert!(state.contains(r#","metadata":{},"created_at":"#), "{state}");
}
