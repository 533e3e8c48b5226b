//! From a request to its answer: limits, route, body, handler, and the headers that every answer has. Does
//! not know connections.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use prometheus_client::registry::Registry;
use tracing::{debug, error};

use crate::clock::{Clock, Moment};
use crate::engine::Command;
use crate::problem::Problem;
use crate::sessions::Sessions;
use crate::store::Quota;
use crate::ws;

use super::body::{self, Body, Unread};
use super::cors::Cors;
use super::framing;
use super::handlers::about::{self, Degraded};
use super::handlers::sessions;
use super::metrics::Metrics;
use super::quota;
use super::reply::{self, Reply, Response};
use super::router::{Endpoint, Route, route};

/// Answers requests.
pub(super) struct Service {
    pub(super) sessions: Sessions,
    pub(super) cors: Cors,
    pub(super) body_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) clock: Clock,
    pub(super) degraded: Degraded,
    pub(super) metrics: Metrics,
    /// Everything that is counted anywhere.
    pub(super) registry: Arc<Registry>,
}

/// An answer; after it the connection may go on as a WebSocket.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) upgrade: Option<ws::Invitation>,
}

impl Service {
    /// Answers one request of `client`, whose head was read at `begun`.
    pub(super) async fn answer(&self, client: IpAddr, request: Request<Incoming>, begun: Moment) -> Answer {
        let (parts, body) = request.into_parts();
        let mut unread = body::unread(body);
        let route = route(&parts.method, parts.uri.path());
        let mut answer = match framing::check(&parts) {
            Err(problem) => Reply::problem(&problem).into(),
            Ok(()) if parts.method == Method::OPTIONS => self.cors.preflight(&parts.headers).into(),
            Ok(()) => self.route(client, route, &parts, &mut unread).await,
        };
        let headers = answer.response.headers_mut();
        self.cors.apply(headers);
        if unread.is_some() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let status = answer.response.status().as_u16();
        self.metrics.answered(&parts.method, route.resource(), status, self.clock.moment().since(begun));
        debug!(method = %parts.method, path = parts.uri.path(), status, "answered");
        answer
    }

    /// The answer to what is no request, as it goes over the wire.
    pub(super) fn refuse(&self, problem: &Problem) -> Vec<u8> {
        let mut response = Reply::problem(problem);
        self.cors.apply(response.headers_mut());
        reply::raw(response)
    }

    async fn route(&self, client: IpAddr, route: Route<'_>, parts: &Parts, unread: &mut Unread) -> Answer {
        let general = match route {
            Route::Found(resource, ..) | Route::WrongMethod(resource) if !resource.is_limited() => None,
            Route::Found(..) | Route::WrongMethod(_) | Route::Unknown => self.count(client).await,
        };
        let mut answer = match route {
            _ if general.is_some_and(|quota| quota.is_exceeded()) => {
                Reply::problem(&Problem::too_many_requests()).into()
            }
            Route::Found(_, endpoint, id) => self.serve(endpoint, id, parts, unread).await,
            Route::WrongMethod(resource) => Reply::wrong_method(resource.allow()).into(),
            Route::Unknown => Reply::problem(&Problem::unknown_route()).into(),
        };
        // A switch shows its own.
        if let Some(quota) = answer.quota.or(general) {
            quota::apply(answer.response.headers_mut(), &quota);
        }
        Answer { response: answer.response, upgrade: answer.upgrade }
    }

    /// A limit that cannot be counted lets through.
    async fn count(&self, client: IpAddr) -> Option<Quota> {
        self.sessions.count(client).await.unwrap_or_else(|error| {
            debug!(?error, "a request was not counted");
            None
        })
    }

    async fn serve(&self, endpoint: Endpoint, id: &str, parts: &Parts, unread: &mut Unread) -> Limited {
        if endpoint == Endpoint::WebSocket {
            return match ws::invite(parts).filter(|_| unread.is_none()) {
                Some((response, invitation)) => {
                    Limited { response: response.map(|()| Body::default()), quota: None, upgrade: Some(invitation) }
                }
                None => Reply::upgrade_required().into(),
            };
        }
        let body = match body::read(&parts.headers, unread, self.body_timeout).await {
            Ok(body) => body,
            Err(problem) => return Reply::problem(&problem).into(),
        };
        let handled = AssertUnwindSafe(self.handle(endpoint, id, parts, &body)).catch_unwind();
        match within(self.request_timeout, handled).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => {
                error!(method = %parts.method, path = parts.uri.path(), "a request met a fault of ours");
                Reply::problem(&Problem::internal()).into()
            }
            None => {
                error!(method = %parts.method, path = parts.uri.path(), "a request took too long");
                let is_safe = parts.method.is_safe();
                let problem = if is_safe { Problem::unavailable("Too slow") } else { Problem::unknown_outcome() };
                Reply::problem(&problem).into()
            }
        }
    }

    async fn handle(&self, endpoint: Endpoint, id: &str, parts: &Parts, body: &Bytes) -> Limited {
        let (all, headers) = (&self.sessions, &parts.headers);
        let command = match endpoint {
            Endpoint::Create => return sessions::create(all, body).await.into(),
            Endpoint::Read => return sessions::read(all, headers, id).await.into(),
            Endpoint::Patch => return sessions::patch(all, headers, id, body).await.into(),
            Endpoint::Delete => return sessions::delete(all, headers, id).await.into(),
            Endpoint::Switch => {
                let (result, quota) = sessions::switch(all, headers, id, body).await;
                return Limited { quota, ..result.into() };
            }
            Endpoint::Events => return sessions::events(all, id, parts.uri.query().unwrap_or_default()).await.into(),
            Endpoint::Time => return about::time(all).await.into(),
            Endpoint::Health => return about::health().into(),
            Endpoint::Ready => return about::ready(all, &self.degraded).into(),
            Endpoint::Metrics => {
                self.metrics.active_sessions(all.active());
                return about::metrics(&self.registry).into();
            }
            Endpoint::ApiDocsJson => return about::api_docs_json().into(),
            Endpoint::ApiDocs => return about::api_docs().into(),
            Endpoint::WebSocket => return Reply::upgrade_required().into(),
            Endpoint::Start => Command::Start,
            Endpoint::Pause => Command::Pause,
            Endpoint::Resume => Command::Resume,
            Endpoint::Complete => Command::Complete,
            Endpoint::Cancel => Command::Cancel,
        };
        sessions::transition(all, headers, id, command).await.into()
    }
}

/// What `future` comes to, if it does so in time. What needs not wait at all needs no timer.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::time::timeout(limit, future).await.ok(),
    }
}

/// An answer on its way through the service, with the limit that its endpoint counted.
struct Limited {
    response: Response,
    quota: Option<Quota>,
    upgrade: Option<ws::Invitation>,
}

impl From<Response> for Limited {
    fn from(response: Response) -> Self {
        Self { response, quota: None, upgrade: None }
    }
}

impl From<Result<Response, Problem>> for Limited {
    fn from(result: Result<Response, Problem>) -> Self {
        result.unwrap_or_else(|problem| Reply::problem(&problem)).into()
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, upgrade: None }
    }
}
