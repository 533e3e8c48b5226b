//! Accepts connections, as many as are admitted, of clients and perhaps of operators; stops accepting when the shutdown begins. Does not
//! know what happens on a connection.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::error;

use crate::client::TrustedProxies;
use crate::clock::Clock;
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;
use crate::store::{self, BytesBudget, Deadlines};
use crate::supervision::{Panicked, Supervisor, Task, TaskExit, panic_point};
use crate::ws::WsContext;

use super::access::{Access, AccessOptions};
use super::admission::{Admission, ConnectionLimits};
use super::answer_log::AnswerLog;
use super::body::Bodies;
use super::compression::Compressor;
use super::connection::{self, ServerContext, Timeouts};
use super::cors::Cors;
use super::listener::HttpListener;
use super::metrics::HttpMetrics;
use super::peer::Peer;
use super::response_headers::HeaderTemplates;
use super::service::Service;
use super::surface::Surface;

/// How long to leave the listener alone that could not accept, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Accepts clients: without them there is nothing to serve.
const ACCEPT: Task = Task::essential("accept");
/// Accepts operators, where they have a listener of their own.
const ACCEPT_OPERATORS: Task = Task::auxiliary("accept operators");

/// What clients are served by.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Who may ask.
    pub access: AccessOptions,
    /// How many connections there may be.
    pub connection_limits: ConnectionLimits,
    /// How many there may be beside them to a listener of operators.
    pub operator_limits: ConnectionLimits,
    /// How long what a client does may take.
    pub timeouts: Timeouts,
    /// The proxies that are trusted to say who asks.
    pub proxies: TrustedProxies,
    /// What all paths begin with, such as `/sync`; empty when nothing.
    pub base_path: Box<str>,
    /// Bytes of request bodies that may be on their way.
    pub bodies_bytes_max: usize,
    /// Where it is counted what was refused.
    pub store_metrics: store::Metrics,
}

/// What the process gives to everything that runs in it.
#[derive(Clone)]
pub struct Environment {
    /// The time.
    pub clock: Clock,
    /// When to stop.
    pub shutdown: Shutdown,
    /// Who notices that a task has ended.
    pub supervisor: Supervisor,
}

/// Serves HTTP on a listener, or two.
pub struct Server {
    shared: Arc<ServerContext>,
    limits: ConnectionLimits,
    operator_limits: ConnectionLimits,
    shutdown: Shutdown,
    supervisor: Supervisor,
}

/// A listener, with what it serves and to how many.
struct BoundListener {
    listener: HttpListener,
    surface: Surface,
    admission: Admission,
}

impl Server {
    /// A server that does not accept yet. It serves the sessions of `websockets`, counts the running clocks of `deadlines`, and shows
    /// the metrics of `registry` with its own.
    pub fn new(
        websockets: WsContext,
        deadlines: Arc<dyn Deadlines>,
        options: ServerOptions,
        mut registry: Registry,
        readiness: Readiness,
        environment: Environment,
    ) -> Self {
        let Environment { clock, shutdown, supervisor } = environment;
        let ServerOptions { connection_limits: limits, operator_limits, access, timeouts, proxies, base_path, .. } =
            options;
        let (bodies_bytes_max, store_metrics) = (options.bodies_bytes_max, options.store_metrics);
        let Timeouts { body_timeout, request_timeout, .. } = timeouts;
        let metrics = HttpMetrics::register(&mut registry);
        let bodies = Bodies { bytes: BytesBudget::new(bodies_bytes_max), metrics: store_metrics };
        let help = "Memory that request bodies on their way take";
        registry.register("synckairos_bodies_bytes", help, bodies.bytes.clone());
        let service = Service {
            supervisor: supervisor.clone(),
            sessions: websockets.sessions.clone(),
            clocks: Arc::clone(&websockets.clocks),
            deadlines,
            client_limit: websockets.client_limit.clone(),
            bodies,
            header_templates: HeaderTemplates::new(Cors::new(access.origins.clone())),
            body_timeout,
            request_timeout,
            clock: clock.clone(),
            readiness,
            metrics,
            registry: Arc::new(registry),
            proxies,
            access: Access::new(access),
            base_path,
            answered: AnswerLog::default(),
            compressor: Compressor::new(supervisor.clone()),
        };
        let shared = Arc::new(ServerContext { service, websockets, timeouts, clock });
        Self { shared, limits, operator_limits, shutdown, supervisor }
    }

    /// Accepts connections until the shutdown begins, then waits until the last one has ended. When it is
    /// dropped before, so are they. Where operators have a listener, what is theirs is served there alone.
    pub async fn run(self, listener: HttpListener, operators: Option<HttpListener>) {
        let Some(operators) = operators else {
            return self.serve(listener, Surface::Whole, self.limits, ACCEPT).await;
        };
        // Neither can take the places of the other.
        let clients = self.serve(listener, Surface::Clients, self.limits, ACCEPT);
        let operators = self.serve(operators, Surface::Operators, self.operator_limits, ACCEPT_OPERATORS);
        tokio::join!(clients, operators);
    }

    async fn serve(&self, listener: HttpListener, surface: Surface, limits: ConnectionLimits, task: Task) {
        let bound = BoundListener { listener, surface, admission: Admission::new(limits) };
        // Connections outlive the task that accepts them.
        let connections = Mutex::new(JoinSet::new());
        let accept = || async {
            self.accept(&bound, &mut *connections.lock().await).await;
            TaskExit::Done
        };
        self.supervisor.keep(task, accept).await;
        drop(bound);
        let mut connections = connections.into_inner();
        while connections.join_next().await.is_some() {}
    }

    async fn accept(&self, bound: &BoundListener, connections: &mut JoinSet<Result<(), Panicked>>) {
        let mut shutdown = self.shutdown.clone();
        let mut can_accept = true;
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = bound.listener.accept() => accepted,
                () = shutdown.begun() => return,
            };
            panic_point("accept", "");
            let (tcp, ip) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if std::mem::take(&mut can_accept) {
                        error!(%error, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            can_accept = true;
            let peer = Peer::new(ip, &self.shared.service.proxies);
            // More are closed without an answer.
            let Some(place) = bound.admission.admit(&peer) else { continue };
            let (scope, surface, shared) = (place.scope, bound.surface, Arc::clone(&self.shared));
            let connection = connection::serve(tcp, peer, scope, surface, shared, shutdown.clone());
            connections.spawn(self.supervisor.guarded("connection", async move {
                connection.await;
                drop(place);
            }));
        }
    }
}
