//! From a request to its answer: rate limit, route, body, handler, and the headers that every answer has. Does not know
//! connections.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use prometheus_client::registry::Registry;
use tracing::{debug, error};

use crate::caller::Caller;
use crate::client::TrustedProxies;
use crate::clock::{Clock, Moment};
use crate::engine::{Command, SessionId, Uuid};
use crate::problem::Problem;
use crate::readiness::Readiness;
use crate::sessions::{ClientRateLimit, Sessions};
use crate::store::{Deadlines, PartitionClocks, RateLimitStatus};
use crate::supervision::{Supervisor, panic_point};
use crate::ws;

use super::access::{self, Access};
use super::admission::ConnectionScope;
use super::answer_log::AnswerLog;
use super::body::{self, Bodies, UnreadBody};
use super::compression::Compressor;
use super::cors::Cors;
use super::framing;
use super::handlers::{meta, revocations, sessions};
use super::metrics::HttpMetrics;
use super::peer::Peer;
use super::request_context::{ConnectionContext, RequestContext};
use super::request_id::RequestIds;
use super::response::Response;
use super::response_headers::{self, HeaderTemplates, HyperResponse};
use super::router::{self, RouteMatch};
use super::routes::{Endpoint, Resource, Route};
use super::surface::Surface;

/// Answers requests.
pub(super) struct Service {
    pub(super) supervisor: Supervisor,
    pub(super) sessions: Sessions,
    pub(super) clocks: Arc<dyn PartitionClocks>,
    pub(super) deadlines: Arc<dyn Deadlines>,
    pub(super) client_limit: ClientRateLimit,
    pub(super) header_templates: HeaderTemplates,
    pub(super) bodies: Bodies,
    pub(super) body_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) clock: Clock,
    pub(super) readiness: Readiness,
    pub(super) metrics: HttpMetrics,
    /// Everything that is counted anywhere.
    pub(super) registry: Arc<Registry>,
    pub(super) proxies: TrustedProxies,
    pub(super) access: Access,
    /// What all paths begin with.
    pub(super) base_path: Box<str>,
    pub(super) answered: AnswerLog,
    pub(super) compressor: Compressor,
}

/// An answer; after it the connection may go on as a WebSocket.
pub(super) struct HandledRequest {
    pub(super) response: HyperResponse,
    pub(super) upgrade: Option<ws::UpgradeRequest>,
    pub(super) at: Moment,
}

impl Service {
    /// What the requests of one connection will have in common.
    pub(super) fn connection(&self, peer: Peer, scope: ConnectionScope, surface: Surface) -> ConnectionContext {
        ConnectionContext::new(peer, scope, surface, &self.sessions)
    }

    /// Answers one request, whose head was read at `arrived_at`; says when.
    pub(super) async fn answer(
        &self,
        connection: &ConnectionContext,
        request: Request<Incoming>,
        arrived_at: Moment,
    ) -> HandledRequest {
        let (parts, body) = request.into_parts();
        let mut unread = body::unread(body);
        let route = match parts.uri.path().strip_prefix(&*self.base_path) {
            Some(path) => router::find(&parts.method, path).on(connection.surface),
            None => RouteMatch::Unknown,
        };
        let id = connection.memo.lock().ids.of(&parts.headers);
        let is_probe = connection.scope == ConnectionScope::Probes;
        let answered = self.answer_at_once(&parts, route, connection.surface, is_probe);
        let access = answered.is_none().then_some(&self.access);
        let mut caller = connection.caller(&parts.headers, &self.proxies, access);
        if let Some(error) = caller.awaits_keys() {
            self.access.refresh(error).await;
            caller = connection.caller(&parts.headers, &self.proxies, access);
        }
        let for_another;
        let sessions = match connection.sessions_of(&caller) {
            Some(sessions) => sessions,
            None => {
                for_another = self.sessions.asked_by(caller.counted());
                &for_another
            }
        };
        let context = RequestContext::new(caller, connection.surface, arrived_at, &id, &parts);
        let mut reply = match answered {
            Some(reply) => reply,
            None => self.route(&context, sessions, route, &mut unread).await,
        };
        if Compressor::is_for(&reply) {
            reply = self.compressor.apply(&parts.headers, reply).await;
        }
        let (status, upgrade, at) = (reply.status.as_u16(), reply.upgrade.take(), self.clock.moment());
        let (is_last, took) = (unread.is_some() || is_probe, at.since(context.arrived_at));
        self.metrics.answered(&mut connection.memo.lock().counted, &parts.method, route.resource(), status, took);
        self.answered.log(&context, route, status, at);
        let reader = self.header_templates.reader(&parts.headers);
        HandledRequest { response: self.header_templates.response(reply, id, reader, is_last), upgrade, at }
    }

    /// The answer to what is judged before it matters who asks.
    fn answer_at_once(
        &self,
        parts: &Parts,
        route: RouteMatch<'_>,
        surface: Surface,
        is_probe: bool,
    ) -> Option<Response> {
        let is_of_health = route.resource() == Some(Resource::of(Endpoint::Health));
        let check = framing::check(parts);
        let check = check.and_then(|()| if is_of_health { Ok(()) } else { self.access.check_way(parts, surface) });
        match check {
            Err(problem) => Some(Response::problem(&problem)),
            Ok(()) if is_probe && !route.is_probe() => Some(Response::problem(&Problem::too_many_connections())),
            Ok(()) if parts.method == Method::OPTIONS => Some(Cors::preflight(&parts.headers)),
            Ok(()) => None,
        }
    }

    /// The answer to what is no request, as it goes over the wire.
    pub(super) fn refuse(&self, problem: &Problem) -> Vec<u8> {
        response_headers::raw(self.header_templates.response(
            Response::problem(problem),
            RequestIds::new().made(),
            None,
            true,
        ))
    }

    async fn route(
        &self,
        context: &RequestContext<'_>,
        sessions: &Sessions,
        route: RouteMatch<'_>,
        unread: &mut UnreadBody,
    ) -> Response {
        let general = if route.is_limited() { self.hit_rate_limit(&context.caller).await } else { None };
        let mut reply = match route {
            _ if general.is_some_and(|rate_limit| rate_limit.is_exceeded()) => {
                Response::problem(&Problem::too_many_requests())
            }
            RouteMatch::Found(_, route, id) => {
                let id = Uuid::parse(id).map(SessionId);
                match self.admit(context, route, id) {
                    Ok(()) => self.serve(context, sessions, route.endpoint, id, unread).await,
                    Err(problem) => Response::problem(&problem),
                }
            }
            RouteMatch::WrongMethod(resource) => Response::wrong_method(resource),
            RouteMatch::Unknown => Response::problem(&Problem::unknown_route()),
        };
        // A switch shows its own.
        reply.rate_limit = reply.rate_limit.or(general);
        reply
    }

    /// Judges who asks by what the route needs, before a body is read. Pages are judged where nobody must say who they are, and
    /// where a WebSocket begins: elsewhere they have nothing to show.
    fn admit(&self, context: &RequestContext<'_>, route: &Route, id: Option<SessionId>) -> Result<(), Problem> {
        let surface = context.surface;
        access::permit_route(context.caller.authentication(), surface.scope(route), id)?;
        match self.access.is_closed() && route.endpoint != Endpoint::WebSocket && !surface.is_of_operators() {
            true => Ok(()),
            false => self.access.check_origin(context.headers(), surface),
        }
    }

    /// A limit that cannot be counted lets through.
    async fn hit_rate_limit(&self, caller: &Caller) -> Option<RateLimitStatus> {
        self.client_limit.hit(caller.generally_counted()?).await.unwrap_or_else(|error| {
            debug!(?error, "a request was not counted");
            None
        })
    }

    async fn serve(
        &self,
        context: &RequestContext<'_>,
        sessions: &Sessions,
        endpoint: Endpoint,
        id: Option<SessionId>,
        unread: &mut UnreadBody,
    ) -> Response {
        if endpoint == Endpoint::WebSocket {
            return match ws::invite(context.parts()).filter(|_| unread.is_none()) {
                Some(Ok(invited)) => self.access.upgrade(&context.caller, invited).await.into(),
                Some(Err(why)) => Response::problem(&Problem::bad_request(why)),
                None => Response::upgrade_required(),
            };
        }
        let body = match body::read(context.headers(), unread, self.body_timeout, &self.bodies).await {
            Ok(body) => body,
            Err(problem) => return Response::problem(&problem),
        };
        // It stays where it is: futures are large, and each layer around one that is not pinned moves it.
        let handled = pin!(self.handle(context, sessions, endpoint, id, &body.bytes));
        let guarded = pin!(self.supervisor.contain("request", handled));
        let (method, path) = (context.method(), context.path());
        match within(self.request_timeout, guarded).await {
            Some(Ok(reply)) => context.handling.applied(reply.into()),
            Some(Err(_)) => {
                error!(%method, path, request_id = context.id_text(), "a request met a fault of ours");
                Response::problem(&Problem::internal())
            }
            None => {
                error!(%method, path, request_id = context.id_text(), "a request took too long");
                let problem =
                    if method.is_safe() { Problem::unavailable("Too slow") } else { Problem::unknown_outcome() };
                Response::problem(&problem)
            }
        }
    }

    async fn handle(
        &self,
        context: &RequestContext<'_>,
        all: &Sessions,
        endpoint: Endpoint,
        id: Option<SessionId>,
        body: &Bytes,
    ) -> Result<Response, Problem> {
        panic_point("request", context.path());
        let command = match endpoint {
            Endpoint::Create => return sessions::create(context, all, body).await,
            Endpoint::Read => return sessions::read(context, all, id).await,
            Endpoint::Patch => return sessions::patch(context, all, id, body).await,
            Endpoint::Delete => return sessions::delete(context, all, id, body).await,
            Endpoint::Switch => return sessions::switch(context, all, id, body).await,
            Endpoint::Events => return sessions::events(context, all, &*self.clocks, id).await,
            Endpoint::Revoke => match self.access.revocations() {
                Some(revocations) => return revocations::revoke(context, revocations, body).await,
                None => return Err(Problem::unknown_route()),
            },
            Endpoint::Time => return meta::time(&*self.clocks).await,
            Endpoint::Health => return Ok(meta::health()),
            Endpoint::Ready => {
                let is_told_why = context.surface.is_of_operators() || context.caller.may_know_reasons();
                return Ok(meta::ready(&self.readiness, is_told_why));
            }
            Endpoint::Metrics => {
                self.metrics.active_sessions(self.deadlines.running_clocks());
                return Ok(meta::metrics(&self.registry, context.headers()));
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
        sessions::transition(context, all, id, body, command).await
    }
}

/// What `future` comes to, if it does so in time. What needs not wait at all needs no timer.
async fn within<T>(limit: Duration, mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::time::timeout(limit, future).await.ok(),
    }
}
