//! From a request to its answer: limits, route, body, handler, and the headers that every answer has. Does
//! not know connections.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tracing::{debug, error};

use crate::client_address::{ClientAddress, TrustedProxies};
use crate::clock::{Clock, Moment};
use crate::engine::Command;
use crate::problem::Problem;
use crate::readiness::Readiness;
use crate::sessions::{ClientRateLimit, Sessions};
use crate::store::{Deadlines, PartitionClocks, RateLimitStatus};
use crate::supervision::{Supervisor, panic_point};
use crate::ws;

use super::admission::Scope;
use super::answer_log::AnswerLog;
use super::body::{self, Bodies, Unread};
use super::compression::Compressor;
use super::cors::Cors;
use super::framing;
use super::handlers::handling::Handling;
use super::handlers::meta;
use super::handlers::sessions;
use super::metrics::{Metrics, Series};
use super::peer::Peer;
use super::request_id::RequestIds;
use super::response::Response;
use super::response_headers::{self, HeaderTemplates, HyperResponse};
use super::router::{self, RouteMatch};
use super::routes::Endpoint;

/// Answers requests.
pub(super) struct Service {
    pub(super) supervisor: Supervisor,
    pub(super) sessions: Sessions,
    pub(super) clocks: Arc<dyn PartitionClocks>,
    pub(super) deadlines: Arc<dyn Deadlines>,
    pub(super) client_limit: ClientRateLimit,
    pub(super) heads: HeaderTemplates,
    pub(super) bodies: Bodies,
    pub(super) body_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) clock: Clock,
    pub(super) readiness: Readiness,
    pub(super) metrics: Metrics,
    /// Everything that is counted anywhere.
    pub(super) registry: Arc<Registry>,
    pub(super) proxies: TrustedProxies,
    /// What all paths begin with.
    pub(super) base_path: Box<str>,
    pub(super) answered: AnswerLog,
    pub(super) compressor: Compressor,
}

/// A request that leads to an endpoint.
#[derive(Clone, Copy)]
struct RequestContext<'r> {
    client: ClientAddress,
    /// As the client asks for them.
    sessions: &'r Sessions,
    endpoint: Endpoint,
    /// The session's, if the path names one.
    id: &'r str,
    handling: Handling,
    parts: &'r Parts,
    request_id: &'r HeaderValue,
}

/// A connection, as the service knows it.
pub(super) struct Caller {
    peer: Peer,
    scope: Scope,
    /// As the other end of the connection asks for them.
    sessions: Sessions,
    remembered: Mutex<ConnectionMemo>,
}

/// What a connection remembers of one request for the next.
struct ConnectionMemo {
    /// Where the last one was counted.
    counted: Option<Series>,
    ids: RequestIds,
}

/// An answer; after it the connection may go on as a WebSocket.
pub(super) struct HandledRequest {
    pub(super) response: HyperResponse,
    pub(super) upgrade: Option<(ws::UpgradeRequest, ClientAddress)>,
    pub(super) at: Moment,
}

impl Service {
    /// Who asks over one connection.
    pub(super) fn caller(&self, peer: Peer, scope: Scope) -> Caller {
        let remembered = Mutex::new(ConnectionMemo { counted: None, ids: RequestIds::new() });
        Caller { peer, scope, sessions: self.sessions.asked_by(peer.address()), remembered }
    }

    /// Answers one request, whose head was read at `begun`; says when.
    pub(super) async fn answer(&self, caller: &Caller, request: Request<Incoming>, begun: Moment) -> HandledRequest {
        let Caller { peer, scope, remembered, .. } = caller;
        let (parts, body) = request.into_parts();
        let mut unread = body::unread(body);
        let route = match parts.uri.path().strip_prefix(&*self.base_path) {
            Some(path) => router::find(&parts.method, path),
            None => RouteMatch::Unknown,
        };
        let id = remembered.lock().ids.of(&parts.headers);
        let client = peer.client(&parts.headers, &self.proxies);
        // Most connections have one client, so that its share of the sessions need not be taken for each request.
        let for_another = (!caller.sessions.is_asked_by(client)).then(|| self.sessions.asked_by(client));
        let sessions = for_another.as_ref().unwrap_or(&caller.sessions);
        let mut reply = match framing::check(&parts) {
            Err(problem) => Response::problem(&problem),
            Ok(()) if *scope == Scope::Probes && !route.is_probe() => {
                Response::problem(&Problem::too_many_connections())
            }
            Ok(()) if parts.method == Method::OPTIONS => Cors::preflight(&parts.headers),
            Ok(()) => self.route(client, sessions, route, &parts, &id, &mut unread).await,
        };
        if Compressor::is_for(&reply) {
            reply = self.compressor.apply(&parts.headers, reply).await;
        }
        let (status, upgrade, at) = (reply.status.as_u16(), reply.upgrade.take(), self.clock.moment());
        let is_last = unread.is_some() || *scope == Scope::Probes;
        self.metrics.answered(&mut remembered.lock().counted, &parts.method, route.resource(), status, at.since(begun));
        self.answered.log(&parts, route, status, &id, at);
        let upgrade = upgrade.map(|invitation| (invitation, client));
        HandledRequest { response: self.heads.response(reply, id, is_last), upgrade, at }
    }

    /// The answer to what is no request, as it goes over the wire.
    pub(super) fn refuse(&self, problem: &Problem) -> Vec<u8> {
        response_headers::raw(self.heads.response(Response::problem(problem), RequestIds::new().made(), true))
    }

    async fn route(
        &self,
        client: ClientAddress,
        sessions: &Sessions,
        route: RouteMatch<'_>,
        parts: &Parts,
        request_id: &HeaderValue,
        unread: &mut Unread,
    ) -> Response {
        let general = if route.is_limited() { self.hit_rate_limit(client).await } else { None };
        let mut reply = match route {
            _ if general.is_some_and(|quota| quota.is_exceeded()) => Response::problem(&Problem::too_many_requests()),
            RouteMatch::Found(_, route, id) => {
                let handling = Handling::preferred(&parts.method, &parts.headers);
                let asked =
                    RequestContext { client, sessions, endpoint: route.endpoint, id, handling, parts, request_id };
                self.serve(asked, unread).await
            }
            RouteMatch::WrongMethod(resource) => Response::wrong_method(resource),
            RouteMatch::Unknown => Response::problem(&Problem::unknown_route()),
        };
        // A switch shows its own.
        reply.quota = reply.quota.or(general);
        reply
    }

    /// A limit that cannot be counted lets through.
    async fn hit_rate_limit(&self, client: ClientAddress) -> Option<RateLimitStatus> {
        self.client_limit.hit(client).await.unwrap_or_else(|error| {
            debug!(?error, "a request was not counted");
            None
        })
    }

    async fn serve(&self, asked: RequestContext<'_>, unread: &mut Unread) -> Response {
        let RequestContext { endpoint, handling, parts, .. } = asked;
        if endpoint == Endpoint::WebSocket {
            return match ws::invite(parts).filter(|_| unread.is_none()) {
                Some(Ok((head, invitation))) => Response::switch_protocols(head, invitation),
                Some(Err(why)) => Response::problem(&Problem::bad_request(why)),
                None => Response::upgrade_required(),
            };
        }
        let body = match body::read(&parts.headers, unread, self.body_timeout, &self.bodies).await {
            Ok(body) => body,
            Err(problem) => return Response::problem(&problem),
        };
        // It stays where it is: futures are large, and each layer around one that is not pinned moves it.
        let handled = pin!(self.handle(asked, &body.bytes));
        let guarded = pin!(self.supervisor.contain("request", handled));
        match within(self.request_timeout, guarded).await {
            Some(Ok(reply)) => handling.applied(reply.into()),
            Some(Err(_)) => {
                let request_id = asked.request_id.to_str().unwrap_or_default();
                error!(method = %parts.method, path = parts.uri.path(), request_id, "a request met a fault of ours");
                Response::problem(&Problem::internal())
            }
            None => {
                let request_id = asked.request_id.to_str().unwrap_or_default();
                error!(method = %parts.method, path = parts.uri.path(), request_id, "a request took too long");
                let is_safe = parts.method.is_safe();
                let problem = if is_safe { Problem::unavailable("Too slow") } else { Problem::unknown_outcome() };
                Response::problem(&problem)
            }
        }
    }

    async fn handle(&self, asked: RequestContext<'_>, body: &Bytes) -> Result<Response, Problem> {
        let RequestContext { client, sessions: all, endpoint, id, handling, parts, .. } = asked;
        panic_point("request", parts.uri.path());
        let headers = &parts.headers;
        let command = match endpoint {
            Endpoint::Create => return sessions::create(all, handling, body).await,
            Endpoint::Read => return sessions::read(all, headers, id).await,
            Endpoint::Patch => return sessions::patch(all, headers, id, body).await,
            Endpoint::Delete => {
                let query = parts.uri.query().unwrap_or_default();
                return sessions::delete(all, headers, handling, id, query, body).await;
            }
            Endpoint::Switch => return sessions::switch(all, headers, handling, client, id, body).await,
            Endpoint::Events => {
                return sessions::events(all, &*self.clocks, id, parts.uri.query().unwrap_or_default()).await;
            }
            Endpoint::Time => return meta::time(&*self.clocks).await,
            Endpoint::Health => return Ok(meta::health()),
            Endpoint::Ready => return Ok(meta::ready(&self.readiness)),
            Endpoint::Metrics => {
                self.metrics.active_sessions(self.deadlines.running_clocks());
                return Ok(meta::metrics(&self.registry, headers));
            }
            Endpoint::ApiDocsJson => return Ok(meta::api_docs_json()),
            Endpoint::ApiDocs => return Ok(meta::api_docs()),
            Endpoint::WebSocket => return Ok(Response::upgrade_required()),
            Endpoint::Start => Command::Start,
            Endpoint::Pause => Command::Pause,
            Endpoint::Resume => Command::Resume,
            Endpoint::Complete => Command::Complete,
            Endpoint::Cancel => Command::Cancel,
        };
        sessions::transition(all, headers, handling, id, body, command).await
    }
}

/// What `future` comes to, if it does so in time. What needs not wait at all needs no timer.
async fn within<T>(limit: Duration, mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::time::timeout(limit, future).await.ok(),
    }
}
