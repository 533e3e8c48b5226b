//! The audit jobs of a group, and how they join its transaction: each partition's in one go. Does not know
//! what becomes of them.

use std::collections::BTreeMap;

use redis::Pipeline;

use crate::engine::{SessionId, StateTag};
use crate::redis::{Keyspace, Partition, Queue};

/// Jobs that are committed with the changes that they tell of.
#[derive(Default)]
pub(super) struct Jobs(BTreeMap<Partition, Share>);

/// What goes to one partition.
#[derive(Default)]
struct Share {
    jobs: Vec<Vec<u8>>,
    newest: Vec<(SessionId, StateTag)>,
}

impl Jobs {
    /// The jobs of one session, of which `newest` is the last.
    pub(super) fn add(&mut self, partition: Partition, id: SessionId, newest: StateTag, jobs: Vec<Vec<u8>>) {
        if !jobs.is_empty() {
            let share = self.0.entry(partition).or_default();
            share.jobs.extend(jobs);
            share.newest.push((id, newest));
        }
    }

    /// Adds what queues them to a transaction.
    pub(super) fn commit(self, keyspace: &Keyspace, transaction: &mut Pipeline) {
        for (partition, Share { jobs, newest }) in self.0 {
            let bytes: usize = jobs.iter().map(Vec::len).sum();
            transaction.cmd("RPUSH").arg(keyspace.queue(partition, Queue::Wait)).arg(jobs);
            transaction.cmd("HSET").arg(keyspace.queue(partition, Queue::Pending));
            for (id, StateTag { epoch, version }) in newest {
                transaction.arg(id.to_string()).arg(format!("{epoch}.{version}"));
            }
            transaction.cmd("INCRBY").arg(keyspace.queue(partition, Queue::Bytes)).arg(bytes);
        }
    }
}
