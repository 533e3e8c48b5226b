//! The contract of the archive: the history of every session, as the audit has written it. Cold: it is read for sessions
//! that the store does not have, and for pages of history. Does not know how it was written.

use bytes::Bytes;

use crate::engine::{SessionId, StateTag, Timestamp};

use crate::wire::{Cursor, EventIds};

use super::error::StoreFuture;

/// The history of every session.
pub trait Archive: Send + Sync {
    /// The newest state that was written of a session; `None` when nothing was.
    fn newest(&self, id: SessionId) -> StoreFuture<'_, Option<ArchivedState>>;

    /// Changes of a session in the order of their tags, those after `after`, as many as fit. What does not fit is not read.
    fn changes(&self, id: SessionId, after: Option<Cursor>, room: PageLimit) -> StoreFuture<'_, ArchivedChanges>;

    /// Erases the history of a session for good; returns the number of changes.
    fn erase(&self, id: SessionId) -> StoreFuture<'_, u64>;
}

/// How much fits into a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// Changes at most.
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

/// Changes that fit into a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivedChanges {
    /// In order.
    pub changes: Vec<ArchivedChange>,
    /// Whether there are more.
    pub has_more: bool,
    /// How many changes of the last one's state precede the next page, if that begins with the same state.
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
    /// Its latest events, oldest first, that one included.
    pub events: EventIds,
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
