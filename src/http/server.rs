//! The listener: accepts connections, as many as are allowed, and stops accepting when it is time. Does not
//! know what happens on a connection.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::problem::Problem;
use crate::sessions::Sessions;
use crate::shutdown::Shutdown;
use crate::ws::Live;

use super::connection::{self, Limits, Shared};
use super::cors::Cors;
use super::handlers::about::Degraded;
use super::head::Heads;
use super::linger;
use super::metrics::Metrics;
use super::service::Service;

/// How long to leave the listener alone that could not accept, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How many clients are told at the same time that there is no room for them; more are left without a word.
const REFUSALS_MAX: usize = 64;

/// Serves HTTP on a listener.
pub struct Server {
    shared: Arc<Shared>,
    open: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl Server {
    /// A server that is not listening yet; it shows what `registry` holds, and what it counts itself.
    pub fn new(
        sessions: Sessions,
        live: Live,
        cors: Cors,
        limits: Limits,
        clock: Clock,
        mut registry: Registry,
        degraded: Degraded,
    ) -> Self {
        let Limits { body_timeout, request_timeout, .. } = limits;
        let metrics = Metrics::register(&mut registry);
        let service = Service {
            sessions,
            heads: Heads::new(&cors),
            body_timeout,
            request_timeout,
            clock: clock.clone(),
            degraded,
            metrics,
            registry: Arc::new(registry),
        };
        let open = Arc::new(Semaphore::new(limits.connections_max as usize));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        Self { shared: Arc::new(Shared { service, live, limits, clock }), open, refusals }
    }

    /// Accepts connections until `shutdown` begins, then waits until the last one has ended. When it is
    /// dropped before, so are they.
    pub async fn run(self, listener: TcpListener, mut shutdown: Shutdown) {
        let mut connections = JoinSet::new();
        let (mut can_accept, mut has_room) = (true, true);
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.begun() => break,
            };
            let (tcp, address) = match accepted {
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
            match Arc::clone(&self.open).try_acquire_owned() {
                Ok(permit) => {
                    has_room = true;
                    let connection = connection::serve(tcp, address.ip(), Arc::clone(&self.shared), shutdown.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(_) => {
                    if std::mem::take(&mut has_room) {
                        warn!(client = %address.ip(), "refusing connections: there are as many as there may be");
                    }
                    self.refuse(tcp);
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// Says so, and waits for the client to have read it: it is about to send a request.
    fn refuse(&self, tcp: TcpStream) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let answer = self.shared.service.refuse(&Problem::too_many_connections());
        tokio::spawn(async move {
            linger::close(tcp, &answer).await;
            drop(permit);
        });
    }
}
