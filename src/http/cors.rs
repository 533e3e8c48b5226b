//! What lets pages of another origin read answers in a browser (Fetch standard, "CORS protocol"). Does not know what is
//! answered.

use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};

use super::origins::AllowedOrigins;
use super::response::Response;

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Retry-After, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-ID, \
     SyncKairos-Settled, Idempotency-Replayed, WWW-Authenticate",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");

/// The origins whose pages may read answers.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    origins: AllowedOrigins,
    /// What all answers say.
    same_for_all: Option<HeaderValue>,
}

impl Cors {
    /// Pages of these origins.
    pub(super) fn new(origins: AllowedOrigins) -> Self {
        let same_for_all =
            origins.only().map(|origin| HeaderValue::from_str(origin).expect("origins are visible ASCII"));
        Self { origins, same_for_all }
    }

    /// Adds to a head who may read the answer, as far as that is the same for all, and which headers.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        if let Some(origin) = &self.same_for_all {
            Self::name(headers, origin.clone());
        }
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if self.origins != AllowedOrigins::Any {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// Whom the answer to a request names, where that is not the same for all.
    pub(super) fn reader(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.same_for_all.is_some() {
            return None;
        }
        request.get(ORIGIN).filter(|origin| self.origins.allows(origin.as_bytes())).cloned()
    }

    /// Names who may read an answer. Browsers take no credentials beside a star, and nothing here needs them.
    pub(super) fn name(headers: &mut HeaderMap, origin: HeaderValue) {
        if origin != "*" {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
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
