//! A batch of jobs that one processor holds under a lease. Does not know who holds it, nor for how long.

use crate::redis::Partition;

use super::queued_job::QueuedJob;

/// Jobs that are held under a lease.
#[derive(Clone, Debug)]
pub(super) struct LeasedBatch {
    pub(super) partition: Partition,
    /// Names the lease: the process that holds it, and a number.
    pub(super) name: String,
    pub(super) jobs: Vec<QueuedJob>,
}

impl LeasedBatch {
    /// Whether both are the same lease.
    pub(super) fn is_same(&self, other: &LeasedBatch) -> bool {
        self.name == other.name
    }
}
