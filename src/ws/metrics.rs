//! WsMetrics of WebSocket clients. Does not know what makes the numbers move.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Gauges and counters. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct WsMetrics {
    pub(super) connections: Gauge,
    pub(super) subscriptions: Gauge,
    /// Bytes that wait for all clients together.
    pub(super) waiting: Gauge,
    /// Updates that clients were not sent because a newer one took their place.
    pub(super) skipped: Counter,
    /// Clients that were given up because they read too slowly.
    pub(super) too_slow: Counter,
}

impl WsMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { connections, subscriptions, waiting, skipped, too_slow } = metrics.clone();
        registry.register("synckairos_websocket_connections", "Clients that watch a session", connections);
        registry.register("synckairos_subscriptions", "Sessions that somebody watches", subscriptions);
        registry.register("synckairos_outbox_bytes", "Bytes that wait to be sent to WebSocket clients", waiting);
        let help = "Updates that clients were not sent because a newer one took their place";
        registry.register("synckairos_websocket_updates_skipped", help, skipped);
        let help = "WebSocket clients that were closed because they read too slowly";
        registry.register("synckairos_websocket_too_slow", help, too_slow);
        metrics
    }
}
