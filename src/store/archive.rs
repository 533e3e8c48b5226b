//! The contract of what remembers every session's life for good: what the audit has written, read back. Cold:
//! asked for a session that the store does not have, and for history. Does not know how it was written.

use bytes::Bytes;

use crate::engine::{SessionId, StateTag, Timestamp};

use super::Answer;

/// The record of every session's life.
pub trait Archive: Send + Sync {
    /// The newest state that was written of a session; `None` when nothing was.
    fn newest(&self, id: SessionId) -> Answer<'_, Option<Archived>>;

    /// Changes of a session in the order of their tags, those after `after`, `limit` of them at most.
    fn changes(&self, id: SessionId, after: Option<StateTag>, limit: usize) -> Answer<'_, Vec<Change>>;
}

/// A state in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
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
pub struct Change {
    /// Which state it made.
    pub tag: StateTag,
    /// It deleted the session.
    pub is_deletion: bool,
    /// All that is known of it: the audit job, a JSON object.
    pub job: Bytes,
}
