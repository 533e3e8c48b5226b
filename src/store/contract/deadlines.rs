//! The role that names sessions whose clock has run out. Does not know how they are settled.

use std::time::Duration;

use crate::engine::SessionId;

use super::error::BoxFuture;
use super::partition_clocks::PartitionClocks;

/// The deadlines of each partition, by its server clock.
pub trait Deadlines: PartitionClocks {
    /// Waits until deadlines of a partition have passed; returns the sessions. It returns the same session again until
    /// something is committed.
    fn overdue(&self, partition: usize) -> BoxFuture<'_, Vec<SessionId>>;

    /// Keeps a session out of [`Deadlines::overdue`] for a while, unless something is committed.
    fn postpone(&self, partition: usize, id: SessionId, pause: Duration);

    /// The number of sessions with a running clock, as far as this instance knows.
    fn running_clocks(&self) -> usize;
}
