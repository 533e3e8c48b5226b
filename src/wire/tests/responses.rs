//! What REST clients get, byte for byte.

use super::super::{
    BodyPieces, Details, FieldProblem, ProblemCode, degraded, encode, error, http_error, not_ready, ready, session,
    switched, time,
};
use super::sample::{self, NOON, SWITCH, after, after_noon};
use super::table::long;
use crate::engine::{Command, Outcome};

fn text(text: &BodyPieces) -> String {
    text.iter().map(|piece| std::str::from_utf8(piece).expect("JSON is UTF-8")).collect()
}

#[test]
fn a_session_comes_with_the_server_clocks_time() {
    let encoded = encode(&sample::session(""), NOON);
    let answer = session(encoded.body(), after_noon(7));
    let state = std::str::from_utf8(&encoded.state()).expect("JSON is UTF-8").to_owned();
    assert_eq!(text(&answer), format!(r#"{{"data":{state},"server_time_ms":1769860800007}}"#));
    assert_eq!(answer[1].as_ptr(), encoded.body().as_ptr(), "the state is shared, not copied");
}

#[test]
fn a_switch_says_whose_turn_it_is() {
    let switch = after(sample::session(""), &[(1_000, Command::Start), (3_500, SWITCH)]);
    let encoded = encode(&switch, after_noon(3_500));
    let answer = switched(&switch, &encoded, Outcome::default(), after_noon(3_600));
    assert_eq!(
        text(&answer),
        long(concat!(
            r#"{"data":{"session_id":"@1","active_participant_id":"@b","#,
            r#""cycle_started_at":"2026-01-31T12:00:03.500Z","participants":["#,
            r#"{"participant_id":"@a","participant_index":0,"total_time_ms":297500,"time_used_ms":2500,"#,
            r#""time_remaining_ms":297500,"cycle_count":1,"is_active":false,"has_expired":false,"#,
            r#""initial_time_ms":300000},"#,
            r#"{"participant_id":"@b","participant_index":1,"total_time_ms":300000,"time_used_ms":0,"#,
            r#""time_remaining_ms":300000,"cycle_count":0,"is_active":true,"has_expired":false,"#,
            r#""initial_time_ms":300000}"#,
            r#"],"status":"running","version":3},"server_time_ms":1769860803600}"#,
        ))
    );
    assert_eq!(answer[1].as_ptr(), encoded.participants().as_ptr(), "the participants are shared, not copied");
}

#[test]
fn a_late_switch_says_who_expired() {
    let expired =
        after(sample::session("total_time_ms=2000 & sync_mode=\"global\""), &[(0, Command::Start), (2_500, SWITCH)]);
    let outcome = Outcome { expired: expired.last_expired(), late: true };
    let answer = text(&switched(&expired, &encode(&expired, NOON), outcome, after_noon(2_500)));
    let (head, tail) = answer.split_once(r#""participants":["#).expect("there are participants");
    let tail = tail.split_once(']').expect("the participants end").1;
    assert_eq!(head, long(r#"{"data":{"session_id":"@1","active_participant_id":null,"cycle_started_at":null,"#));
    assert_eq!(
        tail,
        long(
            r#","status":"expired","expired_participant_id":"@a","late":true,"version":3},"server_time_ms":1769860802500}"#
        )
    );
}

#[test]
fn the_servers_own_answers() {
    for (answer, expected) in [
        (time(NOON), r#"{"timestamp_ms":1769860800000,"server_version":"2.0.0","drift_tolerance_ms":50}"#),
        (ready(), r#"{"status":"ready"}"#),
        (
            degraded(&[("audit", "no rows".to_owned())]),
            r#"{"status":"degraded","error":"no rows","causes":[{"component":"audit","error":"no rows"}]}"#,
        ),
        (
            not_ready(&[("store", "no \"Redis\"\n".to_owned()), ("audit", "no rows".to_owned())]),
            r#"{"status":"not_ready","error":"no \"Redis\"\n; no rows","causes":[{"component":"store","error":"no \"Redis\"\n"},{"component":"audit","error":"no rows"}]}"#,
        ),
    ] {
        assert_eq!(answer, expected);
    }
}

#[test]
fn an_error_tells_what_a_program_needs() {
    let problem =
        |field: &str, message: &'static str, code| FieldProblem { field: field.into(), message: message.into(), code };
    for (details, expected) in [
        (Details::None, r#"{"code":"CODE","message":"a \"message\""}"#),
        (Details::FieldProblems(Vec::new()), r#"{"code":"CODE","message":"a \"message\"","details":[]}"#),
        (
            Details::FieldProblems(vec![
                problem("", "Expected object, received array", ProblemCode::InvalidType),
                problem("participants.0.total_time_ms", "Must be at least 1000", ProblemCode::TooSmall),
                problem("\u{1}\"\\", "é", ProblemCode::TooBig),
                problem("id", "Must be a UUID", ProblemCode::InvalidFormat),
                problem("sync_mode", "no", ProblemCode::InvalidValue),
            ]),
            concat!(
                r#"{"code":"CODE","message":"a \"message\"","details":["#,
                r#"{"field":"","message":"Expected object, received array","code":"invalid_type"},"#,
                r#"{"field":"participants.0.total_time_ms","message":"Must be at least 1000","code":"too_small"},"#,
                r#"{"field":"\u0001\"\\","message":"é","code":"too_big"},"#,
                r#"{"field":"id","message":"Must be a UUID","code":"invalid_format"},"#,
                r#"{"field":"sync_mode","message":"no","code":"invalid_value"}]}"#,
            ),
        ),
        (
            Details::Versions { actual: 7, expected: None },
            r#"{"code":"CODE","message":"a \"message\"","details":{"actual_version":7}}"#,
        ),
        (
            Details::Versions { actual: 7, expected: Some(5) },
            r#"{"code":"CODE","message":"a \"message\"","details":{"actual_version":7,"expected_version":5}}"#,
        ),
        (Details::RetryAfter(60), r#"{"code":"CODE","message":"a \"message\"","retry_after_seconds":60}"#),
    ] {
        let error = error("CODE", "a \"message\"", &details);
        assert_eq!(error, expected);
        assert_eq!(text(&http_error(error)), format!(r#"{{"error":{expected}}}"#));
    }
}
