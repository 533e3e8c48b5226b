//! The only wiring: puts the parts together, starts them in order and stops them in order. Nothing imports
//! this but the program and the tests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::Config;
use crate::deadlines;
use crate::engine::Millis;
use crate::http;
use crate::sessions::{Rates, Sessions};
use crate::shutdown::{self, Trigger};
use crate::store::memory::{self, Memory};
use crate::store::{Rate, Store};
use crate::ws::{self, Hub, Live};

/// How long requests may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a deleted session is remembered.
const TOMBSTONE_TTL: Millis = Millis::new(3_600_000);

/// A server that runs until it is stopped or dropped.
pub struct Running {
    address: SocketAddr,
    trigger: Trigger,
    server: JoinHandle<()>,
    _agents: JoinSet<()>,
}

/// Starts a server; it accepts connections when this returns.
pub async fn start(config: Config) -> io::Result<Running> {
    let listener = TcpListener::bind(config.address).await?;
    let address = listener.local_addr()?;
    let (trigger, shutdown) = shutdown::channel();

    let clock = Clock::system();
    let hub = Arc::new(Hub::default());
    let limit = memory::Limit { sessions_max: config.sessions_max, tombstone_ttl: TOMBSTONE_TTL };
    let store = Memory::new(clock.clone(), limit, Arc::clone(&hub) as _);
    let sessions = Sessions::new(Arc::new(store.clone()), rates(&config));
    let live = Live {
        sessions: sessions.clone(),
        hub: Arc::clone(&hub),
        heartbeat: config.heartbeat,
        write_timeout: config.write_timeout,
    };

    let mut agents = JoinSet::new();
    agents.spawn(deadlines::fire(sessions.clone()));
    agents.spawn(ws::warn(hub, sessions.clone()));
    agents.spawn(async move { store.upkeep().await });

    let limits = http::Limits {
        connections_max: config.connections_max,
        idle_timeout: config.idle_timeout,
        head_timeout: config.head_timeout,
        body_timeout: config.body_timeout,
        request_timeout: config.request_timeout,
    };
    let cors = http::Cors::new(&config.cors_origin);
    let server = http::Server::new(sessions, live, cors, limits, clock);
    let server = tokio::spawn(server.run(listener, shutdown));
    info!(%address, store = "memory", version = env!("CARGO_PKG_VERSION"), "SyncKairos listens; sessions are lost when it ends");
    Ok(Running { address, trigger, server, _agents: agents })
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests finish, closes WebSockets; then everything is gone.
    pub async fn stop(mut self) {
        self.trigger.begin();
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await.is_err() {
            warn!("some connections did not end in time");
            self.server.abort();
        }
    }
}

fn rates(config: &Config) -> Rates {
    let rate = |max, window_s| (max > 0).then_some(Rate { max, window_s });
    Rates { switch: rate(config.rate_limit_switch, 1), general: rate(config.rate_limit_general, 60) }
}
