//! A change that is to be written down, whole in itself. Does not know how it is written.

use std::sync::Arc;

use crate::engine::{ChangeRecord, StateTag, Timestamp, Uuid};
use crate::store::{Record, ids};

/// A change that is to be written.
pub(in crate::store) struct Change {
    /// Its id in the audit.
    pub(in crate::store) event: Uuid,
    /// Which state it makes.
    pub(in crate::store) tag: StateTag,
    /// The state, or the one that was deleted.
    pub(in crate::store) record: Arc<Record>,
    /// What is left of the session.
    pub(in crate::store) made: Made,
    /// What is written into the audit.
    pub(in crate::store) entry: ChangeRecord,
    /// How long it is kept.
    pub(in crate::store) expires: Timestamp,
}

/// What a change leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Made {
    /// A state.
    State,
    /// The end of the session.
    Tombstone,
}

impl Change {
    /// A new state.
    pub(in crate::store) fn put(record: &Arc<Record>, entry: ChangeRecord, expires: Timestamp) -> Self {
        let tag = record.session().tag();
        Self { event: ids::uuid(entry.at), tag, record: Arc::clone(record), made: Made::State, entry, expires }
    }

    /// The end of a session.
    pub(in crate::store) fn delete(tag: StateTag, last: Arc<Record>, entry: ChangeRecord, expires: Timestamp) -> Self {
        Self { event: ids::uuid(entry.at), tag, record: last, made: Made::Tombstone, entry, expires }
    }
}
