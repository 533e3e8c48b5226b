//! The listener: accepts connections, as many as are allowed, and stops accepting when it is time. Does not
//! know what happens on a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::problem::Problem;
use crate::sessions::Sessions;
use crate::shutdown::Shutdown;
use crate::ws::Live;

use super::connection::{self, Limits, Shared};
use super::cors::Cors;
use super::linger;
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
    /// A server that is not listening yet.
    pub fn new(sessions: Sessions, live: Live, cors: Cors, limits: Limits, clock: Clock) -> Self {
        let Limits { body_timeout, request_timeout, .. } = limits;
        let service = Service { sessions, cors, body_timeout, request_timeout };
        let open = Arc::new(Semaphore::new(limits.connections_max as usize));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        Self { shared: Arc::new(Shared { service, live, limits, clock }), open, refusals }
    }

    /// Accepts connections until `shutdown` begins, then waits until the last one has ended.
    pub async fn run(self, listener: TcpListener, mut shutdown: Shutdown) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.begun() => break,
            };
            let (tcp, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    error!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match Arc::clone(&self.open).try_acquire_owned() {
                Ok(permit) => {
                    let connection = connection::serve(tcp, address.ip(), Arc::clone(&self.shared), shutdown.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(_) => {
                    warn!(client = %address.ip(), "refused a connection: there are as many as there may be");
                    self.refuse(tcp);
                }
            }
        }
        drop(listener);
        let _ = self.open.acquire_many(self.shared.limits.connections_max).await;
    }

    /// Says so, and waits for the client to have read it: it is about to send a request.
    fn refuse(&self, mut tcp: TcpStream) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let answer = self.shared.service.refuse(&Problem::too_many_connections());
        tokio::spawn(async move {
            if tcp.write_all(&answer).await.is_ok() {
                linger::close(tcp).await;
            }
            drop(permit);
        });
    }
}
