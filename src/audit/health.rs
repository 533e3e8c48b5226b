//! The audit's health over all queues, for readiness and metrics. Does not know how it is found out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{debug, error, info, warn};

use crate::redis::RedisError;

use super::inspect::QueueStats;
use super::metrics::AuditMetrics;

/// The audit's health. Cloning shares it.
#[derive(Clone)]
pub struct AuditHealth(Arc<Mutex<HealthState>>);

struct HealthState {
    /// Why the database is unavailable.
    unavailable: Option<String>,
    /// The statistics of each queue, and the age of its oldest job.
    queues: Vec<(QueueStats, Duration)>,
    /// Queues that cannot be reached.
    unreachable: BTreeSet<usize>,
    /// So many bytes in all queues are too many.
    alert_bytes: u64,
    metrics: AuditMetrics,
}

impl AuditHealth {
    /// The health of so many queues, of which nothing is known yet.
    pub(super) fn new(queues: usize, alert_bytes: u64, metrics: AuditMetrics) -> Self {
        let queues = vec![(QueueStats::default(), Duration::ZERO); queues];
        let state = HealthState { unavailable: None, queues, unreachable: BTreeSet::new(), alert_bytes, metrics };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Why the database cannot be written.
    pub fn unavailable(&self) -> Option<String> {
        self.0.lock().unavailable.as_ref().map(|why| format!("the audit's database is away: {why}"))
    }

    /// Why the audit is degraded although its database may be available: a full queue, dead letters.
    pub fn degraded(&self) -> Vec<String> {
        let state = self.0.lock();
        let QueueStats { bytes, dead, .. } = state.total();
        let full = state.is_full().then(|| format!("{bytes} bytes wait to be audited"));
        let dead = (dead > 0).then(|| format!("{dead} audit jobs were given up: see synckairos queue dead"));
        [full, dead].into_iter().flatten().collect()
    }

    /// Records whether a queue can be reached. Logs when the first cannot, and when all can again: many have one cause.
    pub(super) fn record_reached(&self, queue: usize, result: &Result<(), RedisError>) {
        let mut state = self.0.lock();
        match result {
            Ok(()) if state.unreachable.remove(&queue) && state.unreachable.is_empty() => {
                info!("the audit queue can be reached again");
            }
            Ok(()) => {}
            Err(error) if state.unreachable.is_empty() => warn!(%error, "the audit queue cannot be reached"),
            Err(error) => debug!(%error, queue, "the audit queue cannot be reached"),
        }
        if result.is_err() {
            state.unreachable.insert(queue);
        }
    }

    /// Records a queue's statistics, and why the database is unavailable.
    pub(super) fn record_stats(
        &self,
        queue: usize,
        stats: QueueStats,
        oldest_age: Duration,
        unavailable: Option<String>,
    ) {
        let mut state = self.0.lock();
        let was_full = state.is_full();
        state.queues[queue] = (stats, oldest_age);
        state.unavailable = unavailable;
        let total = state.total();
        if state.is_full() && !was_full {
            error!(bytes = total.bytes, waiting = total.waiting, "the audit queue is filling up");
        }
        let oldest_age = state.queues.iter().map(|(_, age)| *age).max().unwrap_or_default();
        state.metrics.queue_stats(&total, oldest_age);
    }
}

impl HealthState {
    fn total(&self) -> QueueStats {
        self.queues.iter().map(|(stats, _)| *stats).sum()
    }

    fn is_full(&self) -> bool {
        self.alert_bytes > 0 && self.total().bytes >= self.alert_bytes
    }
}
