//! What clients are served with: sessions, WebSockets, HTTP. Does not know where sessions are kept.

use std::sync::Arc;

use crate::config::Config;
use crate::deadlines::{self, DeadlineMetrics};
use crate::engine::Millis;
use crate::http;
use crate::sessions::{ClientRateLimit, Recovery, RecoveryOptions, Sessions};
use crate::store::{Archive, Backend, Metrics, RateLimit};
use crate::supervision::Task;
use crate::ws::{self, Hub, WsContext};

use super::descriptors;
use super::wiring::Wiring;

/// Connections beside MAX_CONNECTIONS on which the server can be asked how it is.
const RESERVE: u32 = 64;
/// Connections of operators, where they are served apart.
const OPERATORS: http::ConnectionLimits =
    http::ConnectionLimits { connections_max: 64, of_address_max: None, reserve: 8 };

impl Wiring<'_> {
    /// The sessions of a backend; those that it does not have come back from `archive`.
    pub(super) fn sessions(
        &mut self,
        store: &Arc<dyn Backend>,
        archive: Option<Arc<dyn Archive>>,
        metrics: &Metrics,
    ) -> Sessions {
        let config = self.config;
        let sessions = Sessions::new(Arc::clone(store) as _).with_switch_limit(rate_limit(config.rate_limit_switch, 1));
        let sessions = sessions.with_default_on_timeout(config.default_on_timeout);
        let Some(archive) = archive else { return sessions };
        let age_max = Millis::new(config.recovery_age_max.as_millis() as u64);
        let patience = config.request_timeout / 2;
        let options = RecoveryOptions { age_max, lifetimes: self.lifetimes(), patience };
        let store = Arc::clone(store) as _;
        sessions.with_recovery(Recovery::new(store, archive, options, metrics.clone(), &mut self.registry))
    }

    /// What WebSocket clients are served with.
    pub(super) fn websockets(
        &self,
        sessions: &Sessions,
        store: &Arc<dyn Backend>,
        hub: &Arc<Hub>,
        access: &http::AccessOptions,
    ) -> WsContext {
        let general = rate_limit(self.config.rate_limit_general, 60);
        WsContext {
            sessions: sessions.clone(),
            clocks: Arc::clone(store) as _,
            clock: self.clock.clone(),
            authenticator: access.authenticator.clone(),
            waiting: Arc::clone(&access.waiting),
            client_limit: ClientRateLimit::new(Arc::clone(store) as _, general),
            hub: Arc::clone(hub),
            heartbeat: self.config.heartbeat,
            request_timeout: self.config.request_timeout,
            answer_bytes_per_s: self.config.rate_limit_answer_bytes,
            write_timeout: self.config.write_timeout,
        }
    }

    /// Fires clocks that run out.
    pub(super) fn fire_deadlines(&mut self, sessions: Sessions, store: &Arc<dyn Backend>) {
        let metrics = DeadlineMetrics::register(&mut self.registry);
        let store = Arc::clone(store) as _;
        self.tasks.spawn(deadlines::fire(sessions, store, metrics, self.supervisor.clone()));
    }

    /// Sends warnings when they are due.
    pub(super) fn send_warnings(&mut self, hub: Arc<Hub>, context: &WsContext) {
        let clocks = Arc::clone(&context.clocks);
        let warn = move || ws::warn(Arc::clone(&hub), Arc::clone(&clocks));
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("warnings"), warn));
    }
}

/// What HTTP clients are served with.
pub(super) fn options(
    config: &Config,
    descriptors: Option<u64>,
    access: http::AccessOptions,
    store_metrics: Metrics,
) -> http::ServerOptions {
    let of_address_max = Some(config.connections_of_address_max).filter(|max| *max > 0);
    let limits = http::ConnectionLimits { connections_max: config.connections_max, of_address_max, reserve: RESERVE };
    http::ServerOptions {
        access,
        connection_limits: descriptors::fitting(limits, OPERATORS, descriptors, config),
        operator_limits: OPERATORS,
        timeouts: http::Timeouts {
            idle_timeout: config.idle_timeout,
            head_timeout: config.head_timeout,
            body_timeout: config.body_timeout,
            request_timeout: config.request_timeout,
        },
        proxies: config.trusted_proxies.clone(),
        base_path: config.base_path.clone().into(),
        bodies_bytes_max: config.bodies_bytes_max,
        store_metrics,
    }
}

/// A limit; 0 is none.
fn rate_limit(max: u32, window_s: u32) -> Option<RateLimit> {
    (max > 0).then_some(RateLimit { max, window_s })
}
