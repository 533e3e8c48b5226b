//! Headers of responses. What all responses of a kind have is put together once and copied for each; only what differs is
//! written. Does not know what is answered.

use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue};

use crate::engine::StateTag;

use super::body::Body;
use super::cors::Cors;
use super::rate_limit_headers;
use super::request_id::X_REQUEST_ID;
use super::response::{Response, ResponseKind};

/// A response as it goes to hyper.
pub(super) type HyperResponse = hyper::Response<Body>;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// The longest tag: that it is a weak one, two numbers, a period, two quotes.
const TAG_LEN_MAX: usize = 2 + 2 * 20 + 3;

/// A head for each kind of answer.
#[derive(Debug)]
pub(super) struct HeaderTemplates {
    empty: HeaderMap,
    json: HeaderMap,
    fresh: HeaderMap,
    state: HeaderMap,
    known: HeaderMap,
    cors: Cors,
}

impl HeaderTemplates {
    pub(super) fn new(cors: Cors) -> Self {
        // What differs from answer to answer comes first: there it is found soonest.
        let heads = |all: &[(_, HeaderValue)]| {
            let mut headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static(""))]);
            headers.extend(all.iter().cloned());
            cors.apply(&mut headers);
            headers
        };
        let tag = HeaderValue::from_static("");
        Self {
            empty: heads(&[]),
            json: heads(&[(CONTENT_TYPE, JSON)]),
            fresh: heads(&[(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)]),
            state: heads(&[(ETAG, tag.clone()), (CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)]),
            known: heads(&[(ETAG, tag), (CACHE_CONTROL, NO_STORE)]),
            cors,
        }
    }

    /// Whom answers to a request name as who may read them, where that is not the same for all.
    pub(super) fn reader(&self, request: &HeaderMap) -> Option<HeaderValue> {
        self.cors.reader(request)
    }

    /// The response to the request `id` that says `reply`, for a page of `reader`; it may be the connection's last one.
    pub(super) fn response(
        &self,
        reply: Response,
        id: HeaderValue,
        reader: Option<HeaderValue>,
        is_last: bool,
    ) -> HyperResponse {
        let mut response = HyperResponse::new(reply.body);
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        *headers = match reply.kind {
            ResponseKind::Empty => self.empty.clone(),
            ResponseKind::Json => self.json.clone(),
            ResponseKind::Fresh => self.fresh.clone(),
            ResponseKind::State(tag) => tagged(&self.state, "", tag),
            ResponseKind::Coded(tag) => tagged(&self.state, "W/", tag),
            ResponseKind::Known(tag) => tagged(&self.known, "", tag),
            ResponseKind::Text(kind) => {
                let mut headers = self.json.clone();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                headers
            }
        };
        fill(headers, &X_REQUEST_ID, id);
        if let Some(reader) = reader {
            Cors::name(headers, reader);
        }
        if let Some(rate_limit) = &reply.rate_limit {
            rate_limit_headers::apply(headers, rate_limit);
        }
        for (name, value) in reply.extra_headers.iter().flat_map(|extra| extra.iter()) {
            headers.append(name, value.clone());
        }
        if is_last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// `"<epoch>.<version>"` where a head has room for it.
fn tagged(head: &HeaderMap, before: &'static str, tag: StateTag) -> HeaderMap {
    let (mut epoch, mut version) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (mut text, mut len) = ([0; TAG_LEN_MAX], 0);
    for piece in [before, "\"", epoch.format(tag.epoch), ".", version.format(tag.version), "\""] {
        text[len..len + piece.len()].copy_from_slice(piece.as_bytes());
        len += piece.len();
    }
    let mut head = head.clone();
    let value = HeaderValue::from_bytes(&text[..len]).expect("digits can stand in a header");
    fill(&mut head, &ETAG, value);
    head
}

/// Sets a value that a head has room for. Looking at its few names in turn costs less than hashing one.
fn fill(head: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let place = head.iter_mut().find(|(there, _)| *there == name);
    let (_, place) = place.expect("every head has room for it");
    *place = value;
}

/// The last answer of a connection as it goes over the wire, where hyper has none to give.
pub(super) fn raw(response: HyperResponse) -> Vec<u8> {
    let (parts, body) = response.into_parts();
    let body = body.concat();
    let mut raw = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            raw.extend_from_slice(piece);
        }
    }
    raw.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    raw.extend_from_slice(&body);
    raw
}
