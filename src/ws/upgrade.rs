//! The opening handshake (RFC 6455, section 4.2), what its query asks for, and the protocols that it offers: a browser can show its
//! token there alone. Does not know what follows.

use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::auth::AuthError;
use crate::caller::Caller;
use crate::engine::{SessionId, Uuid};
use crate::wire;

use super::waiting::WaitingPlace;

/// The protocol that is spoken, as clients may name it.
const PROTOCOL: &str = "synckairos.v1";
/// What stands before a token among the protocols.
const BEARER: &str = "bearer.";

/// A client that has asked for a WebSocket, before it is known who it is.
#[derive(Debug)]
pub struct InvitedClient {
    /// The answer to its handshake.
    pub response: Response<()>,
    /// The session that it asked for, or why none.
    pub session: Result<SessionId, &'static str>,
    /// The tokens among the protocols that it offered.
    pub tokens: Vec<String>,
}

/// A client that speaks WebSocket from here on.
#[derive(Debug)]
pub struct UpgradeRequest {
    /// The session that it asked for, or why none.
    pub session: Result<SessionId, &'static str>,
    /// Who it is.
    pub caller: Caller,
    /// Whether it may come in.
    pub entrance: Entrance,
}

/// Whether a client may come in.
#[derive(Debug)]
pub enum Entrance {
    /// It may.
    Admitted,
    /// It must say who it is first.
    Awaited(WaitingPlace),
    /// What it has shown is no credential that counts: it is told so where its page can read it.
    Refused(AuthError),
    /// It may not watch this session.
    Forbidden,
}

/// Accepts a handshake, or says what is wrong with it; `None` when the request is none of the version that is spoken.
pub fn invite(request: &Parts) -> Option<Result<InvitedClient, &'static str>> {
    let lists = |name, token: &str| {
        let values = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|entry| entry.trim().eq_ignore_ascii_case(token))
    };
    let key = request.headers.get(SEC_WEBSOCKET_KEY)?;
    let version = request.headers.get(SEC_WEBSOCKET_VERSION)?;
    if request.version != Version::HTTP_11
        || version != "13"
        || !lists(UPGRADE, "websocket")
        || !lists(CONNECTION, "upgrade")
    {
        return None;
    }
    if !is_key(key.as_bytes()) || request.headers.get_all(SEC_WEBSOCKET_KEY).iter().count() > 1 {
        return Some(Err("Sec-WebSocket-Key must be one, of 16 bytes in base64"));
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = derive_accept_key(key.as_bytes());
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 can stand in a header"));
    if protocols(&request.headers).any(|protocol| protocol == PROTOCOL) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let tokens = protocols(&request.headers).filter_map(|protocol| protocol.strip_prefix(BEARER));
    let tokens = tokens.map(str::to_owned).collect();
    Some(Ok(InvitedClient { response, session: session(request.uri.query().unwrap_or_default()), tokens }))
}

/// The protocols that a client offers.
fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether a key is 16 bytes in base64 (RFC 4648, section 4).
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    matches!(key.split_last_chunk(), Some((digits, b"==")) if digits.len() == 22 && digits.iter().all(is_digit))
}

/// The session that a query names.
fn session(query: &str) -> Result<SessionId, &'static str> {
    match wire::parameter(query, "sessionId") {
        Some(id) if !id.is_empty() => Uuid::parse(&id).map(SessionId).ok_or("Invalid sessionId format"),
        Some(_) | None => Err("Missing sessionId parameter"),
    }
}

#[cfg(test)]
mod tests {
    use super::session;

    #[test]
    fn finds_the_session_in_a_query() {
        let id = "550e8400-e29b-41d4-a716-446655440000";
        for (query, expected) in [
            (format!("sessionId={id}"), Ok(id)),
            (format!("a=b&sessionId={}&c", id.to_uppercase()), Ok(id)),
            (String::new(), Err("Missing sessionId parameter")),
            ("sessionId=".to_owned(), Err("Missing sessionId parameter")),
            ("sessionId".to_owned(), Err("Missing sessionId parameter")),
            (format!("sessionid={id}"), Err("Missing sessionId parameter")),
            ("sessionId=abc".to_owned(), Err("Invalid sessionId format")),
            (format!("session%49d={}", id.replace('-', "%2d")), Ok(id)),
            (format!("sessionId={id}%00"), Err("Invalid sessionId format")),
            (format!("sessionId={id}%"), Err("Invalid sessionId format")),
        ] {
            assert_eq!(session(&query).map(|id| id.to_string()), expected.map(str::to_owned), "{query}");
        }
    }
}
