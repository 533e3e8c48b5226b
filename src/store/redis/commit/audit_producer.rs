//! The producer of the audit queue: queues the changes of a batch, those of a partition in one go, and says how much
//! back-pressure the queue exerts. Does not know what becomes of the jobs.

use bytes::Bytes;

use crate::engine::{SessionId, StateTag};
use crate::redis::{Keyspace, Partition, Pipeline, QueueKey, WakeUp};
use crate::store::redis::replies;

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

/// Queues changes for the audit, if they are audited.
#[derive(Clone, Debug)]
pub(in crate::store::redis) struct AuditProducer {
    budget: Option<QueueBudget>,
    /// Wakes the consumer in this process.
    wake_up: WakeUp,
}

impl AuditProducer {
    /// A producer within a budget; without one nothing is audited.
    pub(in crate::store::redis) fn new(budget: Option<QueueBudget>) -> Self {
        Self { budget, wake_up: WakeUp::default() }
    }

    /// What wakes the consumer.
    pub(in crate::store::redis) fn wake_up(&self) -> &WakeUp {
        &self.wake_up
    }

    /// Whether changes are audited.
    pub(super) fn is_on(&self) -> bool {
        self.budget.is_some()
    }

    /// The back-pressure of a queue that so many bytes wait in, as Redis stores the number.
    pub(super) fn backpressure(&self, waiting: Option<&Bytes>) -> Backpressure {
        let Some(budget) = self.budget else { return Backpressure::Ample };
        let percent = waiting.map_or(0, replies::decimal).saturating_mul(100) / budget.bytes_max.max(1);
        match percent {
            0..80 => Backpressure::Ample,
            80..95 => Backpressure::Scarce,
            95.. => Backpressure::None,
        }
    }
}

/// Adds what queues the changes of some sessions to a transaction; all of them are of one partition.
pub(super) fn queue<'c>(
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
