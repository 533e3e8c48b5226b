//! How many connections the limit on descriptors leaves to clients. Does not know who they are.

use tracing::warn;

use crate::config::Config;
use crate::http;

/// Descriptors that the server has for itself: its log, its files, its listener, what wakes it.
const DESCRIPTORS: u64 = 24;
/// Connections that a partition may have with Redis: who commits, reads, hears, sweeps, and takes what is audited.
const DESCRIPTORS_OF_PARTITION: u64 = 8;
/// Connections that read the audit back.
const DESCRIPTORS_OF_ARCHIVE: u64 = 6;

/// As many connections as descriptors allow that nothing else needs: a client must not take the one of Redis.
pub(super) fn fitting(
    limits: http::ConnectionLimits,
    descriptors: Option<u64>,
    config: &Config,
) -> http::ConnectionLimits {
    let Some(descriptors) = descriptors else { return limits };
    let redis = config.redis.as_ref().map_or(0, |redis| DESCRIPTORS_OF_PARTITION * u64::from(redis.partitions));
    let database = config.audit.as_ref().map_or(0, |audit| audit.threads as u64 + DESCRIPTORS_OF_ARCHIVE);
    let own = DESCRIPTORS + redis + database;
    let fitting = limits.within(descriptors.saturating_sub(own));
    if fitting.connections_max < limits.connections_max {
        let (max_connections, connections) = (limits.connections_max, fitting.connections_max);
        warn!(
            max_connections,
            connections,
            descriptors,
            own,
            "MAX_CONNECTIONS does not fit into the limit on descriptors: so many are served; raise it (ulimit -n)"
        );
    }
    fitting
}
