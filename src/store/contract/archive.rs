//! The contract of what remembers every session's life for good: what the audit has written, read back. Cold:
//! asked for a session that the store does not have, and for history. Does not know how it was written.

use bytes::Bytes;

use crate::engine::{SessionId, StateTag, Timestamp};

use crate::wire::Cursor;

use super::error::StoreFuture;

/// The record of every session's life.
pub trait Archive: Send + Sync {
    /// The newest state that was written of a session; `None` when nothing was.
    fn newest(&self, id: SessionId) -> StoreFuture<'_, Option<ArchivedState>>;

    /// ArchivedChanges of a session in the order of their tags, those after `after`, as many as fit. What does not fit is not read.
    fn changes(&self, id: SessionId, after: Option<Cursor>, room: PageLimit) -> StoreFuture<'_, ArchivedChanges>;

    /// Forgets all that was written of a session, for good; tells how many changes that were.
    fn erase(&self, id: SessionId) -> StoreFuture<'_, u64>;
}

/// How much fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// ArchivedChanges at most.
    pub changes: usize,
    /// Bytes of jobs at most, but for the last one.
    pub bytes: usize,
}

impl PageLimit {
    /// What is left of it after one more change; `None` when that one does not fit.
    pub fn after(self, job: usize) -> Option<Self> {
        let fits = self.changes > 0 && self.bytes > 0;
        fits.then(|| Self { changes: self.changes - 1, bytes: self.bytes.saturating_sub(job) })
    }
}

/// ArchivedChanges that fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivedChanges {
    /// In order.
    pub changes: Vec<ArchivedChange>,
    /// Whether there are more.
    pub has_more: bool,
    /// How many of the last one's state were told, these and those before, if the next one is of the same.
    pub told: Option<u64>,
}

/// A state in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedState {
    /// Which.
    pub tag: StateTag,
    /// When it was made.
    pub at: Timestamp,
    /// It is the last state of a session that was deleted.
    pub is_deleted: bool,
    /// The state, a JSON object.
    pub state: Bytes,
}

/// A change in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedChange {
    /// Which state it made.
    pub tag: StateTag,
    /// It deleted the session.
    pub is_deletion: bool,
    /// All that is known of it: the audit job, a JSON object.
    pub job: Bytes,
}
