//! The endpoints of the server itself: time, health, readiness, metrics, documentation. Does not know sessions.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, VARY};
use prometheus_client::registry::Registry;

use crate::problem::Problem;
use crate::readiness::{Condition, Readiness, ReadinessReport};
use crate::store::PartitionClocks;
use crate::wire;

use super::super::exposition::exposition;
use super::super::response::Response;

/// The OpenAPI description of everything that is served; a test holds it against the router.
const API_DOCS_JSON: &str = include_str!("../openapi.json");
const API_DOCS: &str = include_str!("../api_docs.html");

pub(in crate::http) async fn time(clocks: &dyn PartitionClocks) -> Result<Response, Problem> {
    let now = clocks.now(None).await?;
    Ok(Response::fresh(StatusCode::OK, wire::time(now)))
}

pub(in crate::http) fn health() -> Response {
    Response::json(StatusCode::OK, Bytes::from_static(br#"{"status":"ok"}"#))
}

/// How the server is; why, for those who may know.
pub(in crate::http) fn ready(readiness: &Readiness, is_told_why: bool) -> Response {
    let ReadinessReport { condition, causes } = readiness.report();
    match condition {
        Condition::Degraded if !is_told_why => {
            Response::json(StatusCode::OK, wire::status_only("degraded", "degraded"))
        }
        Condition::NotReady if !is_told_why => {
            Response::json(StatusCode::SERVICE_UNAVAILABLE, wire::status_only("not_ready", "not ready"))
        }
        Condition::Ready => Response::json(StatusCode::OK, wire::ready()),
        Condition::Degraded => Response::json(StatusCode::OK, wire::degraded(&causes)),
        Condition::NotReady => Response::json(StatusCode::SERVICE_UNAVAILABLE, wire::not_ready(&causes)),
    }
}

/// What is counted.
pub(in crate::http) fn metrics(registry: &Registry, headers: &HeaderMap) -> Response {
    let (kind, text) = exposition(registry, headers);
    Response::text(kind, text).with(VARY, HeaderValue::from_static("Accept"))
}

pub(in crate::http) fn api_docs_json() -> Response {
    Response::json(StatusCode::OK, Bytes::from_static(API_DOCS_JSON.as_bytes()))
}

pub(in crate::http) fn api_docs() -> Response {
    Response::text("text/html; charset=utf-8", Bytes::from_static(API_DOCS.as_bytes()))
}
