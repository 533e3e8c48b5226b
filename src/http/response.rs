//! Responses as values: a status, a kind of headers, a body. Does not know what led to them, nor how headers are made.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    ALLOW, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};

use crate::engine::StateTag;
use crate::problem::Problem;
use crate::store::RateLimitStatus;
use crate::wire::{self, BodyPieces};
use crate::ws;

use super::body::Body;
use super::routes::Resource;

/// An answer on its way through the service.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) kind: ResponseKind,
    pub(super) body: Body,
    /// Headers that few answers have.
    pub(super) extra_headers: Option<Box<HeaderMap>>,
    /// The limit that the request was counted against.
    pub(super) rate_limit: Option<RateLimitStatus>,
    /// After this answer the connection goes on as a WebSocket.
    pub(super) upgrade: Option<ws::UpgradeRequest>,
}

/// What the head says of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ResponseKind {
    /// Nothing: there is none.
    #[default]
    Empty,
    /// That it is JSON.
    Json,
    /// That it is JSON of this moment.
    Fresh,
    /// That it is a state.
    State(StateTag),
    /// That it is a state, in another coding: the tag is a weak one.
    Coded(StateTag),
    /// That it would be a state which the client has.
    Known(StateTag),
    /// That it is of another kind.
    Text(&'static str),
}

impl Response {
    fn new(status: StatusCode, kind: ResponseKind, body: impl Into<Body>) -> Self {
        Self { status, kind, body: body.into(), ..Self::default() }
    }

    /// A status alone.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// JSON that stays true for a while.
    pub(super) fn json(status: StatusCode, body: Bytes) -> Self {
        Self::new(status, ResponseKind::Json, body)
    }

    /// JSON that no cache may keep.
    pub(super) fn fresh(status: StatusCode, body: impl Into<Body>) -> Self {
        Self::new(status, ResponseKind::Fresh, body)
    }

    /// Text of another kind.
    pub(super) fn text(kind: &'static str, text: Bytes) -> Self {
        Self::new(StatusCode::OK, ResponseKind::Text(kind), text)
    }

    /// A session's answer.
    pub(super) fn session(status: StatusCode, text: BodyPieces, tag: StateTag) -> Self {
        Self::new(status, ResponseKind::State(tag), text)
    }

    /// The client knows this state already.
    pub(super) fn not_modified(tag: StateTag) -> Self {
        Self::new(StatusCode::NOT_MODIFIED, ResponseKind::Known(tag), Body::default())
    }

    /// An error.
    pub(super) fn problem(problem: &Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).expect("problems have statuses that exist");
        let reply = Self::fresh(status, wire::http_error(problem.json()));
        let reply = match (problem.status, problem.code) {
            (401, "UNAUTHENTICATED") => reply.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            (401, _) => reply.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")),
            _ => reply,
        };
        match problem.retry_after_s {
            Some(seconds) => reply.with(RETRY_AFTER, HeaderValue::from(seconds)),
            None => reply,
        }
    }

    /// The path speaks WebSocket only.
    pub(super) fn upgrade_required() -> Self {
        Self::problem(&Problem::upgrade_required())
            .with(UPGRADE, HeaderValue::from_static("websocket"))
            .with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    /// The connection goes on as a WebSocket.
    pub(super) fn switch_protocols(head: hyper::Response<()>, invitation: ws::UpgradeRequest) -> Self {
        let (head, ()) = head.into_parts();
        let (status, extra_headers) = (head.status, Some(Box::new(head.headers)));
        Self { status, extra_headers, upgrade: Some(invitation), ..Self::default() }
    }

    /// The path does not have the method.
    pub(super) fn wrong_method(resource: Resource) -> Self {
        let allow = resource.allow();
        let value = HeaderValue::from_str(&allow).expect("methods can stand in a header");
        Self::problem(&Problem::wrong_method(&allow)).with(ALLOW, value)
    }

    /// With one more header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.extra_headers.get_or_insert_default().append(name, value);
        self
    }
}

impl From<Result<Response, Problem>> for Response {
    fn from(result: Result<Response, Problem>) -> Self {
        result.unwrap_or_else(|problem| Response::problem(&problem))
    }
}
