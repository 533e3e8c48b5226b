//! What is known of the audit as a whole, for whoever asks. Does not know where it is known from.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{debug, error, info, warn};

use crate::redis::LinkError;

use super::metrics::Metrics;
use super::operator::Stats;

/// What is known of the audit. Cloning shares it.
#[derive(Clone)]
pub struct Standing(Arc<Mutex<Known>>);

struct Known {
    away: Option<String>,
    /// Of each queue, and how old its oldest job is.
    queues: Vec<(Stats, Duration)>,
    /// Queues that cannot be reached.
    unreached: BTreeSet<usize>,
    /// What wait in all is too much.
    alert_bytes: u64,
    metrics: Metrics,
}

impl Standing {
    /// Nothing is known yet of so many queues.
    pub(super) fn new(queues: usize, alert_bytes: u64, metrics: Metrics) -> Self {
        let queues = vec![(Stats::default(), Duration::ZERO); queues];
        Self(Arc::new(Mutex::new(Known { away: None, queues, unreached: BTreeSet::new(), alert_bytes, metrics })))
    }

    /// Why the database cannot be written.
    pub fn away(&self) -> Option<String> {
        self.0.lock().away.as_ref().map(|why| format!("the audit's database is away: {why}"))
    }

    /// Why the audit is behind although its database may be there.
    pub fn degraded(&self) -> Vec<String> {
        let known = self.0.lock();
        let Stats { bytes, dead, .. } = known.total();
        let full = known.is_full().then(|| format!("{bytes} bytes wait to be audited"));
        let dead = (dead > 0).then(|| format!("{dead} audit jobs were given up: see synckairos queue dead"));
        [full, dead].into_iter().flatten().collect()
    }

    /// Takes down whether a queue can be reached. Tells when one cannot although all could, and when all can again: many
    /// have the same reason.
    pub(super) fn reached(&self, queue: usize, result: &Result<(), LinkError>) {
        let mut known = self.0.lock();
        match result {
            Ok(()) if known.unreached.remove(&queue) && known.unreached.is_empty() => {
                info!("the audit queue can be reached again");
            }
            Ok(()) => {}
            Err(error) if known.unreached.is_empty() => warn!(%error, "the audit queue cannot be reached"),
            Err(error) => debug!(%error, queue, "the audit queue cannot be reached"),
        }
        if result.is_err() {
            known.unreached.insert(queue);
        }
    }

    /// Takes down what is in a queue, and why the database is away.
    pub(super) fn learn(&self, queue: usize, stats: Stats, oldest_age: Duration, away: Option<String>) {
        let mut known = self.0.lock();
        let was_full = known.is_full();
        known.queues[queue] = (stats, oldest_age);
        known.away = away;
        let total = known.total();
        if known.is_full() && !was_full {
            error!(bytes = total.bytes, waiting = total.waiting, "the audit queue is filling up");
        }
        let oldest_age = known.queues.iter().map(|(_, age)| *age).max().unwrap_or_default();
        known.metrics.standing(&total, oldest_age);
    }
}

impl Known {
    fn total(&self) -> Stats {
        self.queues.iter().map(|(stats, _)| *stats).sum()
    }

    fn is_full(&self) -> bool {
        self.alert_bytes > 0 && self.total().bytes >= self.alert_bytes
    }
}
