//! The health of a shard as a whole: its server, the keys that changes need, updates, and stored values that cannot be
//! read. Does not know how any of it is found out.

use parking_lot::Mutex;

use crate::engine::SessionId;
use crate::redis::Partition;
use crate::store::metrics::{Metrics, Rejected};

use super::faults::Faults;
use super::quarantine::Quarantine;
use super::server_health::ServerHealth;

/// The kinds of what may not work although sessions are served: changes, keys, updates.
pub(in crate::store::redis) const DEGRADATIONS: usize = 3;

/// The health of a shard.
pub(in crate::store::redis) struct ShardHealth {
    pub(in crate::store::redis) server: ServerHealth,
    pub(in crate::store::redis) faults: Faults,
    quarantine: Quarantine,
    /// Why updates are interrupted, if they are.
    interrupted: Mutex<Option<String>>,
    /// The number of partitions in this shard.
    partitions: usize,
    metrics: Metrics,
}

impl ShardHealth {
    /// Nothing is known yet of a shard of so many partitions.
    pub(in crate::store::redis) fn new(server: ServerHealth, partitions: usize, metrics: Metrics) -> Self {
        let (faults, quarantine, interrupted) = (Faults::default(), Quarantine::default(), Mutex::default());
        Self { server, faults, quarantine, interrupted, partitions, metrics }
    }

    /// Why none of the sessions can be served; `None` when they can.
    pub(in crate::store::redis) fn unready_reason(&self) -> Option<String> {
        self.server.missing().or_else(|| self.faults.whole(self.partitions))
    }

    /// What does not work although sessions are served, each kind in its place.
    pub(in crate::store::redis) fn degradations(&self) -> [Option<String>; DEGRADATIONS] {
        let interrupted = self.interrupted.lock().as_ref().map(|why| format!("updates are interrupted: {why}"));
        [self.faults.refusal(), self.faults.some(self.partitions), interrupted]
    }

    /// Updates are interrupted, and why; or arrive again.
    pub(in crate::store::redis) fn set_interrupted(&self, why: Option<String>) {
        let mut interrupted = self.interrupted.lock();
        if interrupted.is_some() != why.is_some() {
            self.metrics.updates_are(why.is_some());
        }
        *interrupted = why;
    }

    /// A stored value of a session cannot be read.
    pub(in crate::store::redis) fn reject(&self, id: SessionId, key: &str, value: &[u8], why: &str) {
        self.quarantine.reject(id, key, value, why, &self.metrics);
    }

    /// A key of a partition cannot be written to as it is.
    pub(in crate::store::redis) fn fault(&self, partition: Partition, why: String) {
        if self.faults.found(partition, why) {
            self.metrics.rejected(Rejected::Key);
        }
    }
}
