//! The opening handshake (RFC 6455, section 4.2) and what its query asks for. Does not know what follows.

use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::engine::{SessionId, Uuid};
use crate::wire;

/// What a client that speaks WebSocket asked for: a session, or nothing that makes sense, and then why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeRequest(pub(super) Result<SessionId, &'static str>);

/// Accepts a handshake, or says what is wrong with it; `None` when the request is none of the version that is spoken.
pub fn invite(request: &Parts) -> Option<Result<(Response<()>, UpgradeRequest), &'static str>> {
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
    Some(Ok((response, UpgradeRequest(session(request.uri.query().unwrap_or_default())))))
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
