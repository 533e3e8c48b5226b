//! What a WebSocket client says: the server's reader against an oracle.

use synckairos::engine::{Command, ParticipantId};
use synckairos::wire::{self, ClientMessage, RequestedChange};

use crate::model::Json;
use crate::model_fields::{self, Problems};

/// Problems by field and code.
type Listed = Vec<(String, &'static str)>;

/// What a message comes to, in the oracle's words.
#[derive(Debug, PartialEq)]
enum Said {
    NotUnderstood,
    Ping(Option<String>),
    Reconnect,
    Auth(String),
    Command(String, Result<RequestedChange, Listed>),
}

/// Reads a message.
pub(crate) fn run(message: &[u8]) {
    let said = match wire::read_client_message(message) {
        Err(_) => Said::NotUnderstood,
        Ok(ClientMessage::Ping { timestamp }) => Said::Ping(timestamp.map(str::to_owned)),
        Ok(ClientMessage::Reconnect) => Said::Reconnect,
        Ok(ClientMessage::Auth { token }) => Said::Auth(token.into_owned()),
        Ok(ClientMessage::Command(command)) => {
            let told = |problem: wire::FieldProblem| (problem.field, problem.code.name());
            let change = command.change.map_err(|problems| problems.into_iter().map(told).collect());
            Said::Command(command.request_id, change)
        }
    };
    let is_json =
        std::str::from_utf8(message).ok().filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let Some(text) = is_json else {
        assert_eq!(said, Said::NotUnderstood, "{message:?}");
        return;
    };
    let Some(document) = Json::read(text) else { return };
    assert_eq!(said, expected(&document), "{text}");
}

fn expected(document: &Json) -> Said {
    // NUL is in no string that means anything.
    let text = |name: &str| document.member(name).and_then(Json::text).filter(|text| !text.contains('\0'));
    let command = match text("type") {
        Some("PING") => {
            let Some(Json::Number(timestamp)) = document.member("timestamp") else { return Said::Ping(None) };
            return Said::Ping(Some(timestamp.clone()));
        }
        Some("RECONNECT") => return Said::Reconnect,
        Some("AUTH") => return text("token").map_or(Said::NotUnderstood, |token| Said::Auth(token.to_owned())),
        Some("START") => Some(Command::Start),
        Some("PAUSE") => Some(Command::Pause),
        Some("RESUME") => Some(Command::Resume),
        Some("COMPLETE") => Some(Command::Complete),
        Some("CANCEL") => Some(Command::Cancel),
        Some("SWITCH") => None,
        Some(_) | None => return Said::NotUnderstood,
    };
    let Some(id) = text("request_id").filter(|id| (1..=64).contains(&id.chars().count())) else {
        return Said::NotUnderstood;
    };
    let mut problems = Problems::default();
    let change = match command {
        Some(command) => (command, None),
        None => {
            let participant = |value: &Json| model_fields::uuid(value).map(ParticipantId);
            let next = problems.optional(document, "", "next_participant_id", participant);
            let current = problems.optional(document, "", "current_participant_id", participant);
            let version = problems.optional(document, "", "expected_version", model_fields::version);
            (Command::Switch { next, current }, version)
        }
    };
    Said::Command(id.to_owned(), if problems.0.is_empty() { Ok(change) } else { Err(problems.0) })
}
