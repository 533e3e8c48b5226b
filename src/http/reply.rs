//! Answers as HTTP responses. Does not know what led to them.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
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

    /// A page for a person.
    pub(super) fn html(page: &'static str) -> Response {
        let mut response = Response::new(Bytes::from_static(page.as_bytes()).into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
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

    /// An error. A connection whose body was not read to its end is closed after it.
    pub(super) fn problem(problem: &Problem) -> Response {
        let status = StatusCode::from_u16(problem.status).expect("problems have statuses that exist");
        let mut response = Self::json(status, wire::http_error(problem.json()));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(seconds) = problem.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE
        ) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
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

/// An error as it goes over the wire, for a connection that no request can be answered on.
pub(super) fn raw(problem: &Problem) -> Vec<u8> {
    let reason = StatusCode::from_u16(problem.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let body = wire::http_error(problem.json()).concat();
    let mut raw = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json; charset=utf-8\r\ncache-control: no-store\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        problem.status,
        body.len()
    )
    .into_bytes();
    raw.extend_from_slice(&body);
    raw
}

/// `"<epoch>.<version>"`.
fn etag(tag: StateTag) -> HeaderValue {
    let mut text = Vec::with_capacity(40);
    text.push(b'"');
    text.extend_from_slice(itoa::Buffer::new().format(tag.epoch).as_bytes());
    text.push(b'.');
    text.extend_from_slice(itoa::Buffer::new().format(tag.version).as_bytes());
    text.push(b'"');
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("digits can stand in a header")
}
