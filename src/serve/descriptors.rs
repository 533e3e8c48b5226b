//! How many connections the limit on descriptors leaves to clients. Does not know who they are.

use tracing::warn;

use crate::config::Config;
use crate::http;

/// Descriptors that the server has for itself: its log, its files, its listener, what wakes it.
const DESCRIPTORS: u64 = 24;
/// Connections that a partition may have with Redis: who commits, reads, hears, sweeps, and takes what is audited.
const DESCRIPTORS_OF_PARTITION: u64 = 8;
/// Connections that tell and hear what is revoked.
const DESCRIPTORS_OF_REVOCATIONS: u64 = 2;
/// Connections that read the audit back.
const DESCRIPTORS_OF_ARCHIVE: u64 = 6;

/// As many connections as descriptors allow that nothing else needs: a client must not take the one of Redis.
pub(super) fn fitting(
    limits: http::ConnectionLimits,
    operator_limits: http::ConnectionLimits,
    descriptors: Option<u64>,
    config: &Config,
) -> http::ConnectionLimits {
    let Some(descriptors) = descriptors else { return limits };
    let redis = config.redis.as_ref();
    let redis =
        redis.map_or(0, |redis| DESCRIPTORS_OF_PARTITION * u64::from(redis.partitions) + DESCRIPTORS_OF_REVOCATIONS);
    let database = config.audit.as_ref().map_or(0, |audit| audit.threads as u64 + DESCRIPTORS_OF_ARCHIVE);
    // And their listener.
    let operators = u64::from(operator_limits.connections_max) + u64::from(operator_limits.reserve) + 1;
    let operators = if config.admin_address.is_some() { operators } else { 0 };
    let own = DESCRIPTORS + redis + database + operators;
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

#[cfg(test)]
mod tests {
    use super::fitting;
    use crate::config::Config;
    use crate::http::ConnectionLimits;

    #[test]
    fn operators_have_theirs_where_they_are_served_apart() {
        let limits = |connections_max, reserve| ConnectionLimits { connections_max, of_address_max: None, reserve };
        let left = |admin: Option<&str>| {
            let given = |name: &str| admin.filter(|_| name == "ADMIN_ADDRESS").map(str::to_owned);
            let config = Config::read(given).expect("the settings are valid");
            fitting(limits(20_000, 64), limits(64, 8), Some(1_024), &config).connections_max
        };
        assert_eq!(left(None), 1_024 - 24 - 64);
        assert_eq!(left(Some("127.0.0.1:9464")), 1_024 - 24 - 64 - 73);
    }
}
