//! What WebSocket clients are told, byte for byte.

use bytes::Bytes;

use super::super::{
    connected, deleted, encode, expired, invalid_message, lapsed, message_error, pong, result_data, result_error,
    session, switched, sync, warning,
};
use super::sample::{self, NOON, SWITCH, after, after_noon};
use super::table::long;
use crate::engine::{Command, Event, Millis, Outcome, ParticipantId, Session, Uuid, Warning};

fn id() -> crate::engine::SessionId {
    sample::session("").id
}

fn participant(letter: u128) -> ParticipantId {
    ParticipantId(Uuid::from_bits(0x4000_8000_0000_0000_0000 | letter))
}

#[track_caller]
fn check(message: &Bytes, expected: &str) {
    assert_eq!(std::str::from_utf8(message), Ok(long(expected).as_str()));
}

#[test]
fn joining_and_leaving() {
    check(&connected(id(), None, NOON), r#"{"type":"CONNECTED","sessionId":"@1","timestamp":1769860800000}"#);
    check(&deleted(id(), NOON), r#"{"type":"SESSION_DELETED","sessionId":"@1","timestamp":1769860800000}"#);
    check(
        &lapsed(id(), NOON),
        r#"{"type":"SESSION_DELETED","sessionId":"@1","timestamp":1769860800000,"reason":"lapsed"}"#,
    );
}

#[test]
fn a_state_that_was_asked_for_is_stamped_when_it_is_sent() {
    let encoded = encode(&sample::session(""), NOON);
    let state = encoded.state();
    let state = std::str::from_utf8(&state).expect("JSON is UTF-8");
    check(
        &sync(id(), &encoded.body(), after_noon(9)),
        &format!(r#"{{"type":"STATE_SYNC","sessionId":"@1","timestamp":1769860800009,"state":{state}}}"#),
    );
    check(
        &encoded.frame(),
        &format!(r#"{{"type":"STATE_UPDATE","sessionId":"@1","timestamp":1769860800000,"state":{state}}}"#),
    );
}

#[test]
fn a_warning_says_what_is_left() {
    let due = Warning { at: NOON, participant: participant(0xa), threshold: Millis::new(30_000) };
    check(
        &warning(id(), &due, Millis::new(29_998), after_noon(2)),
        concat!(
            r#"{"type":"TIME_WARNING","sessionId":"@1","timestamp":1769860800002,"participant_id":"@a","#,
            r#""time_remaining_ms":29998,"threshold_ms":30000}"#,
        ),
    );
}

#[test]
fn each_clock_that_ran_out_is_told() {
    let flag = |letter, ms| Event::ParticipantExpired { participant: participant(letter), at: after_noon(ms) };
    let told = |events: &[Event]| {
        let messages = expired(id(), events, after_noon(9_000));
        messages.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect::<Vec<_>>()
    };
    let message = |letter: &str, at: &str| {
        long(&format!(
            concat!(
                r#"{{"type":"TIME_EXPIRED","sessionId":"@1","timestamp":1769860809000,"#,
                r#""expired_participant_id":"@{}","expired_at":"2026-01-31T12:00:{}Z"}}"#,
            ),
            letter, at
        ))
    };
    let events = [
        Event::RoundsExpired { rounds: 2, until: after_noon(1) },
        flag(0xa, 1_000),
        flag(0xb, 2_500),
        Event::Switched { from: participant(0xb), to: None },
        flag(0xc, 3_000),
        Event::SessionExpired { at: after_noon(3_000) },
    ];
    let all = [message("a", "01.000"), message("b", "02.500"), message("c", "03.000")];
    assert_eq!(told(&events), all);
    assert_eq!(told(&[Event::Created, Event::Paused, Event::Updated]), all[3..]);
}

#[test]
fn a_pong_brings_back_what_the_ping_carried() {
    check(&pong(None, NOON, after_noon(1)), r#"{"type":"PONG","timestamp":1769860800001}"#);
    check(
        &pong(Some("-1.50e+3"), NOON, after_noon(1)),
        concat!(
            r#"{"type":"PONG","timestamp":1769860800001,"client_timestamp":-1.50e+3,"#,
            r#""received_at":1769860800000}"#,
        ),
    );
}

#[test]
fn a_result_carries_what_rest_answers() {
    let running = after(sample::session(""), &[(0, Command::Start)]);
    let encoded = encode(&running, NOON);
    let state = String::from_utf8_lossy(&encoded.state()).into_owned();
    check(
        &result_data("r \"1\"", 200, false, &session(encoded.body(), after_noon(5))),
        &format!(
            r#"{{"type":"RESULT","request_id":"r \"1\"","status":200,"data":{state},"server_time_ms":1769860800005}}"#
        ),
    );
    let switch = after(running, &[(10, SWITCH)]);
    let encoded = encode(&switch, after_noon(10));
    let answer = switched(&switch, &encoded, Outcome::default(), after_noon(11));
    let rest: String = answer.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
    check(
        &result_data("r", 200, false, &answer),
        &format!(r#"{{"type":"RESULT","request_id":"r","status":200,{}"#, &rest[1..]),
    );
}

#[test]
fn a_result_says_why_not() {
    check(
        &result_error("r", 409, false, br#"{"code":"CONFLICT","message":"no"}"#, NOON),
        concat!(
            r#"{"type":"RESULT","request_id":"r","status":409,"#,
            r#""error":{"code":"CONFLICT","message":"no"},"server_time_ms":1769860800000}"#,
        ),
    );
}

#[test]
fn errors_have_a_code() {
    check(&invalid_message("a \"b\""), r#"{"type":"ERROR","code":"INVALID_MESSAGE","message":"a \"b\""}"#);
    check(
        &message_error("SESSION_NOT_FOUND", &format!("Session {} not found", id())),
        r#"{"type":"ERROR","code":"SESSION_NOT_FOUND","message":"Session @1 not found"}"#,
    );
}

#[test]
fn samples_are_what_they_look_like() {
    let Session { id, participants, created_at, .. } = sample::session("");
    assert_eq!(id.to_string(), long("@1"));
    assert_eq!(participants[0].id, participant(0xa));
    assert_eq!(created_at, NOON);
}
