//! The audit jobs of a group, and how they join its transaction: each partition's in one go; and how much room
//! is left for them. Does not know what becomes of them.

use std::collections::BTreeMap;

use redis::Pipeline;

use crate::engine::{SessionId, StateTag};
use crate::redis::{Keyspace, Partition, Queue};

/// How many bytes of jobs may wait to be written.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// In each partition.
    pub bytes_max: u64,
}

/// What the jobs that wait leave room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// Everything.
    #[default]
    Ample,
    /// No further sessions.
    Scarce,
    /// Nothing but what time does, and deletions.
    None,
}

impl Budget {
    /// What is left when so many bytes wait.
    pub(super) fn room(self, bytes: u64) -> Room {
        let percent = bytes.saturating_mul(100) / self.bytes_max.max(1);
        match percent {
            0..80 => Room::Ample,
            80..95 => Room::Scarce,
            95.. => Room::None,
        }
    }
}

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
