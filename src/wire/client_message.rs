//! The messages of WebSocket clients. Does not know how they are answered.

use std::borrow::Cow;

use crate::engine::Command;

use super::canonical::canonical;
use super::json_object::Object;
use super::json_values;
use super::request::{self, SwitchRequest};
use super::validation::{FieldProblem, FieldProblems};

const REQUEST_ID_LEN_MAX: usize = 64;

/// A message that was understood. It is not shown: there may be a secret in it.
pub enum ClientMessage<'a> {
    /// Asks for a PONG.
    Ping {
        /// The client's `timestamp` verbatim, if it is a number.
        timestamp: Option<&'a str>,
    },
    /// Asks for the state.
    Reconnect,
    /// Says who it is.
    Auth {
        /// The key or token.
        token: Cow<'a, str>,
    },
    /// Asks for a change.
    Command(ClientCommand),
}

/// A command with the name under which the client waits for its result.
#[derive(Debug)]
pub struct ClientCommand {
    /// The client's name for this request.
    pub request_id: String,
    /// The key that names the command, if it has one.
    pub key: Option<RequestKey>,
    /// The command, or what is wrong with its fields.
    pub change: Result<RequestedChange, FieldProblems>,
}

/// A key by which a request is known when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// As it was given.
    pub text: String,
    /// What is asked for, in its canonical form.
    pub request: Vec<u8>,
}

/// A command and the version that the session must have, if any.
pub type RequestedChange = (Command, Option<u64>);

/// The word for a command, as messages have it, and for those that no message asks for.
pub fn word(command: &Command) -> &'static str {
    match command {
        Command::Settle => "SETTLE",
        Command::Start => "START",
        Command::Pause => "PAUSE",
        Command::Resume => "RESUME",
        Command::Switch { .. } => "SWITCH",
        Command::Complete => "COMPLETE",
        Command::Cancel => "CANCEL",
        Command::Patch(_) => "UPDATE",
        Command::Delete => "DELETE",
    }
}

/// Reads a message; `Err` says what was not understood.
pub fn read_client_message(text: &[u8]) -> Result<ClientMessage<'_>, String> {
    let mut problems = FieldProblems::new();
    let message = Object::parse(text, &mut problems).map_err(|error| format!("Not JSON: {}", error.0))?;
    if !problems.is_empty() || text.is_empty() {
        return Err("A message is a JSON object with a type".to_owned());
    }
    let kind = message.member("type").and_then(|value| json_values::string(value).ok());
    let command = match kind.as_deref() {
        Some("PING") => {
            let timestamp = message.member("timestamp").filter(|&value| json_values::kind(value) == "number");
            return Ok(ClientMessage::Ping { timestamp: timestamp.map(|value| value.get()) });
        }
        Some("RECONNECT") => return Ok(ClientMessage::Reconnect),
        Some("AUTH") => {
            let token = message.member("token").and_then(|value| json_values::string(value).ok());
            return match token {
                Some(token) => Ok(ClientMessage::Auth { token }),
                None => Err("AUTH needs a token, which is a string".to_owned()),
            };
        }
        Some("START") => Some(Command::Start),
        Some("PAUSE") => Some(Command::Pause),
        Some("RESUME") => Some(Command::Resume),
        Some("COMPLETE") => Some(Command::Complete),
        Some("CANCEL") => Some(Command::Cancel),
        Some("SWITCH") => None,
        Some(_) => return Err("Unknown type".to_owned()),
        None => return Err("A message needs a type, which is a string".to_owned()),
    };
    let request_id = message
        .member("request_id")
        .and_then(|value| json_values::string(value).ok())
        .filter(|id| (1..=REQUEST_ID_LEN_MAX).contains(&id.chars().count()))
        .ok_or_else(|| format!("A command needs a request_id, a string of 1 to {REQUEST_ID_LEN_MAX} characters"))?;
    let mut key = None;
    if let Some(value) = message.member("idempotency_key") {
        match json_values::string(value) {
            // Of a transition nothing else is asked.
            Ok(text) => {
                let request = if command.is_some() { Vec::new() } else { canonical(&message) };
                key = Some(RequestKey { text: text.into_owned(), request });
            }
            Err(error) => problems.push(FieldProblem {
                field: "idempotency_key".to_owned(),
                message: error.message,
                code: error.code,
            }),
        }
    }
    let change = match command {
        Some(_) if !problems.is_empty() => Err(problems),
        Some(command) => Ok((command, None)),
        None => match request::switch(&message, &mut problems).filter(|_| problems.is_empty()) {
            Some(SwitchRequest { next, current, expected_version }) => {
                Ok((Command::Switch { next, current }, expected_version))
            }
            None => Err(problems),
        },
    };
    Ok(ClientMessage::Command(ClientCommand { request_id: request_id.into_owned(), key, change }))
}
