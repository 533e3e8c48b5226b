//! The role that tells the time. Each partition of a store has a server clock of its own, and may be unavailable while
//! others are not. Does not know sessions beyond their ids.

use crate::engine::{SessionId, Timestamp};

use super::error::{BoxFuture, StoreFuture};

/// The server clocks, one for each partition.
pub trait PartitionClocks: Send + Sync {
    /// The number of partitions.
    fn partitions(&self) -> usize;

    /// The partition of a session.
    fn partition(&self, id: SessionId) -> usize;

    /// The time of any clock that answers, asked afresh; of the clock of the partition `near` if that answers soon.
    fn now(&self, near: Option<usize>) -> StoreFuture<'_, Timestamp>;

    /// The time of any clock that answers; of the session's own if that answers soon.
    fn now_near(&self, id: SessionId) -> StoreFuture<'_, Timestamp> {
        self.now(Some(self.partition(id)))
    }

    /// The time of a partition's clock, asked afresh.
    fn now_of(&self, partition: usize) -> StoreFuture<'_, Timestamp>;

    /// Waits until a partition's clock shows `at`, not less.
    fn sleep_until(&self, partition: usize, at: Timestamp) -> BoxFuture<'_, ()>;
}
