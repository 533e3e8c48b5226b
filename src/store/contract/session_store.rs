//! The role that reads and changes sessions. Does not know when deadlines pass.

use crate::engine::{SessionId, StateTag, Timestamp};
use crate::store::arrival::Arrival;
use crate::store::record::Snapshot;

use super::commit::{Commit, CommitOutcome};
use super::error::StoreFuture;
use super::partition_clocks::PartitionClocks;
use super::subscription::Subscribed;

/// Reads and changes sessions, each by the clock of its partition.
pub trait SessionStore: PartitionClocks {
    /// Records the arrival of a command. The caller holds it until the command is judged.
    fn arrive(&self, id: SessionId) -> Arrival;

    /// The state as it is stored: its deadline may have passed.
    fn read(&self, id: SessionId) -> StoreFuture<'_, Read>;

    /// Lets `commit` decide on the session's present state and commits the decision.
    fn commit(&self, commit: Commit) -> StoreFuture<'_, CommitOutcome>;

    /// Whether all servers that share the store read sessions with a time control.
    fn keeps_time_controls(&self) -> bool {
        true
    }

    /// Subscribes to a session, which need not exist. The listener is called with its updates until the subscription is
    /// dropped.
    fn subscribe(&self, id: SessionId) -> StoreFuture<'_, Subscribed>;

    /// The changes of a session that are on their way to the archive.
    fn pending_audit(&self, id: SessionId) -> StoreFuture<'_, PendingAudit>;
}

/// A state as it was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// The state; `None` when there is no such session.
    pub snapshot: Option<Snapshot>,
    /// Whether a tombstone says that the session was deleted.
    pub is_tombstoned: bool,
    /// The server clock's time at reading.
    pub now: Timestamp,
}

/// Changes that are on their way to the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingAudit {
    /// The newest change, if it is among them.
    pub newest: Option<StateTag>,
    /// Older changes are among them that may be written after newer ones.
    pub has_stragglers: bool,
}
