//! What lets pages of another origin read answers in a browser (Fetch standard, "CORS protocol"). Does not know what is
//! answered.

use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderMap, HeaderValue, VARY,
};

use super::response::Response;

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Retry-After, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-ID, \
     SyncKairos-Settled",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");

/// The origin whose pages may read answers.
#[derive(Clone, Debug)]
pub struct Cors {
    origin: HeaderValue,
}

impl Cors {
    /// Pages of `origin`, or of every origin if it is `*`.
    ///
    /// # Panics
    ///
    /// When `origin` has bytes that cannot stand in a header.
    pub fn new(origin: &str) -> Self {
        Self { origin: HeaderValue::from_str(origin).expect("an origin is visible ASCII") }
    }

    /// Adds to a head who may read the answer, and which headers.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if self.origin != "*" {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// The answer to a preflight request; what it asks to send, it may send.
    pub(super) fn preflight(request: &HeaderMap) -> Response {
        let reply = Response::empty(StatusCode::NO_CONTENT)
            .with(ACCESS_CONTROL_ALLOW_METHODS, METHODS)
            .with(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        match request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            Some(asked) => reply
                .with(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone())
                .with(VARY, HeaderValue::from_static("Access-Control-Request-Headers")),
            None => reply,
        }
    }
}
