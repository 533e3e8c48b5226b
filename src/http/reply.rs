//! Answers as HTTP responses. Does not know what led to them.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
};

use crate::engine::StateTag;
use crate::problem::Problem;
use crate::wire::{self, Text};

use super::body::Body;

/// A response on its way out.
pub(super) type Response = hyper::Response<Body>;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Makes responses.
pub(super) struct Reply;

impl Reply {
    /// A status alone.
    pub(super) fn empty(status: StatusCode) -> Response {
        let mut response = Response::new(Body::default());
        *response.status_mut() = status;
        response
    }

    /// JSON.
    pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        response
    }

    /// Text of another kind.
    pub(super) fn text(kind: &'static str, text: Bytes) -> Response {
        let mut response = Response::new(text.into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    /// A session's answer.
    pub(super) fn session(status: StatusCode, text: Text, tag: StateTag) -> Response {
        let mut response = Self::json(status, text);
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        response.headers_mut().insert(ETAG, etag(tag));
        response
    }

    /// The client knows this state already.
    pub(super) fn not_modified(tag: StateTag) -> Response {
        let mut response = Self::empty(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        response.headers_mut().insert(ETAG, etag(tag));
        response
    }

    /// An error.
    pub(super) fn problem(problem: &Problem) -> Response {
        let status = StatusCode::from_u16(problem.status).expect("problems have statuses that exist");
        let mut response = Self::json(status, wire::http_error(problem.json()));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(seconds) = problem.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The path speaks WebSocket only.
    pub(super) fn upgrade_required() -> Response {
        let mut response = Self::problem(&Problem::upgrade_required());
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        response
    }

    /// The path does not have the method.
    pub(super) fn wrong_method(allow: &'static str) -> Response {
        let mut response = Self::problem(&Problem::wrong_method(allow));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        response
    }
}

/// The last answer of a connection as it goes over the wire, where hyper has none to give.
pub(super) fn raw(response: Response) -> Vec<u8> {
    let (parts, body) = response.into_parts();
    let body = body.concat();
    let mut raw = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            raw.extend_from_slice(piece);
        }
    }
    raw.extend_from_slice(format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
    raw.extend_from_slice(&body);
    raw
}

/// `"<epoch>.<version>"`.
fn etag(tag: StateTag) -> HeaderValue {
    let (mut epoch, mut version) = (itoa::Buffer::new(), itoa::Buffer::new());
    let text = ["\"", epoch.format(tag.epoch), ".", version.format(tag.version), "\""].concat();
    HeaderValue::try_from(text).expect("digits can stand in a header")
}
