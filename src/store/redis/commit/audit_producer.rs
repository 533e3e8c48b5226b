//! How the changes of a batch are queued to be audited, those of a partition in one go; and how much room is left for
//! them. Does not know what becomes of them.

use crate::engine::{SessionId, StateTag};
use crate::redis::{Keyspace, Partition, Pipeline, QueueKey};

use super::session_change::SessionChange;

/// The bound of the audit queue, in bytes of jobs that wait to be written.
#[derive(Clone, Copy, Debug)]
pub struct QueueBudget {
    /// In each partition.
    pub bytes_max: u64,
}

/// What back-pressure of the audit queue still lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Backpressure {
    /// Everything.
    #[default]
    Ample,
    /// No further sessions.
    Scarce,
    /// Nothing but what time does, and deletions.
    None,
}

impl QueueBudget {
    /// The back-pressure when so many bytes wait.
    pub(super) fn backpressure(self, bytes: u64) -> Backpressure {
        let percent = bytes.saturating_mul(100) / self.bytes_max.max(1);
        match percent {
            0..80 => Backpressure::Ample,
            80..95 => Backpressure::Scarce,
            95.. => Backpressure::None,
        }
    }
}

/// Adds what queues the changes of some sessions to a transaction; all of them are of one partition.
pub(in crate::store::redis) fn queue<'c>(
    changes: impl Iterator<Item = (SessionId, &'c [SessionChange])> + Clone,
    keyspace: &Keyspace,
    partition: Partition,
    transaction: &mut Pipeline,
) {
    let mut bytes = 0;
    transaction.cmd("RPUSH").arg(keyspace.queue(partition, QueueKey::Wait));
    for (id, changes) in changes.clone() {
        bytes += changes.iter().map(|change| change.audit(id, transaction)).sum::<usize>();
    }
    transaction.cmd("HSET").arg(keyspace.queue(partition, QueueKey::Pending));
    for (id, changes) in changes {
        if let Some(StateTag { epoch, version }) = changes.last().map(|newest| newest.tag) {
            transaction.arg(id.0.text().as_slice()).arg(format!("{epoch}.{version}"));
        }
    }
    transaction.cmd("INCRBY").arg(keyspace.queue(partition, QueueKey::Bytes)).arg(bytes);
}
