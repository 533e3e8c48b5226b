//! What WebSocket clients say.

use super::super::{ClientCommand, ClientMessage, read_client_message};
use super::table::{body, check_lines, problems};
use crate::engine::Command;

fn told(message: &[u8]) -> String {
    match read_client_message(message) {
        Ok(ClientMessage::Ping { timestamp }) => format!("ping {}", timestamp.unwrap_or("without a time")),
        Ok(ClientMessage::Reconnect) => "reconnect".to_owned(),
        Ok(ClientMessage::Auth { token }) => format!("auth {token}"),
        Ok(ClientMessage::Command(ClientCommand { request_id, change, .. })) => match change {
            Ok((Command::Switch { next, current }, version)) => {
                let name = |id: Option<crate::engine::ParticipantId>| id.map(|id| id.to_string()).unwrap_or_default();
                format!("{request_id}: switch to {} from {} at {version:?}", name(next), name(current))
            }
            Ok((command, None)) => format!("{request_id}: {command:?}"),
            Ok((command, Some(_))) => panic!("{command:?} takes no version"),
            Err(found) => format!("{request_id}:\n{}", problems(&found)),
        },
        Err(why) => format!("not understood: {why}"),
    }
}

/// Each request is the edits of an empty object.
#[track_caller]
fn saying(table: &str) {
    check_lines(table, |edits| told(body("", edits).as_bytes()));
}

/// Each request is a message as it is sent.
#[track_caller]
fn sending(table: &str) {
    check_lines(table, |message| told(message.as_bytes()));
}

#[test]
fn a_ping_brings_a_number_back() {
    saying(
        r#"
        > type="PING"
          ping without a time
        > type="PING" & timestamp=1769860800000
          ping 1769860800000
        > type="PING" & timestamp=-1.50e+3
          ping -1.50e+3
        > type="PING" & timestamp="1769860800000"
          ping without a time
        > type="PING" & timestamp=null
          ping without a time
        > type="PING" & timestamp=[1]
          ping without a time
        > timestamp=1 & type="PAUSE" & +type="P\u0049NG" & timestamp=2 & nobody="\ud800"
          ping 2
        > type="RECONNECT" & request_id=7
          reconnect
        "#,
    );
}

#[test]
fn commands_have_a_name_of_the_clients() {
    saying(
        r#"
        > type="START" & request_id="r"
          r: Start
        > type="PAUSE" & request_id="\u0072"
          r: Pause
        > type="RESUME" & request_id="r" & expected_version="ignored"
          r: Resume
        > type="COMPLETE" & request_id="r"
          r: Complete
        > type="CANCEL" & request_id="r"
          r: Cancel
        > type="START"
          not understood: A command needs a request_id, a string of 1 to 64 characters
        > type="START" & request_id=""
          not understood: A command needs a request_id, a string of 1 to 64 characters
        > type="START" & request_id=7
          not understood: A command needs a request_id, a string of 1 to 64 characters
        > type="START" & request_id=null
          not understood: A command needs a request_id, a string of 1 to 64 characters
        > type="START" & request_id="\u0000"
          not understood: A command needs a request_id, a string of 1 to 64 characters
        > type="START" & request_id="\ud800"
          not understood: A command needs a request_id, a string of 1 to 64 characters
        "#,
    );
}

#[test]
fn a_name_has_at_most_64_characters() {
    for (length, understood) in [(64, true), (65, false)] {
        for character in ["a", "é", "\u{10ffff}", r"\u00e9"] {
            let message = format!(r#"{{"type":"START","request_id":"{}"}}"#, character.repeat(length));
            assert_eq!(
                matches!(read_client_message(message.as_bytes()), Ok(ClientMessage::Command(_))),
                understood,
                "{message}"
            );
        }
    }
}

#[test]
fn a_switch_has_the_fields_that_it_has_elsewhere() {
    saying(
        r#"
        > type="SWITCH" & request_id="r"
          r: switch to  from  at None
        > type="SWITCH" & request_id="r" & next_participant_id="@a" & current_participant_id="@b" & expected_version=7
          r: switch to @a from @b at Some(7)
        > type="SWITCH" & request_id="r" & expected_version=0 & current_participant_id=null & next_participant_id="a"
          r:
          next_participant_id invalid_format
          current_participant_id invalid_type
          expected_version too_small
        > type="SWITCH" & next_participant_id="a"
          not understood: A command needs a request_id, a string of 1 to 64 characters
        "#,
    );
}

#[test]
fn what_is_not_understood_is_said() {
    sending(
        r#"
        > {}
          not understood: A message needs a type, which is a string
        > {"type":7}
          not understood: A message needs a type, which is a string
        > {"type":"\ud800"}
          not understood: A message needs a type, which is a string
        > {"type":null,"type":"PING"}
          ping without a time
        > {"type":"ping"}
          not understood: Unknown type
        > {"type":"DELETE","request_id":"r"}
          not understood: Unknown type
        > {"type":"PING "}
          not understood: Unknown type
        > []
          not understood: A message is a JSON object with a type
        > "PING"
          not understood: A message is a JSON object with a type
        >
          not understood: A message is a JSON object with a type
        > {"type":"PING"
          not understood: Not JSON: unexpected end at line 1 column 15
        > PING
          not understood: Not JSON: unexpected character at line 1 column 1
        "#,
    );
    assert_eq!(told(b"{\"type\":\"PING\xff\"}"), "not understood: Not JSON: the body is not UTF-8");
}
