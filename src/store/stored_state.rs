//! What is stored of a session: its state, or its tombstone. Does not know for how long.

use std::sync::Arc;

use crate::engine::{StateTag, Timestamp};

use super::contract::StoredSession;
use super::record::Record;

/// What a tombstone takes, in bytes, with its entries in the indexes.
const TOMBSTONE_LEN: usize = 256;

/// The newest of a session.
#[derive(Debug)]
pub(super) enum StoredState {
    /// Its state.
    Session(Arc<Record>),
    /// The tag of its deletion.
    Tombstone(StateTag),
}

impl StoredState {
    /// As a decision finds it.
    pub(super) fn as_stored(&self) -> StoredSession<'_> {
        match self {
            StoredState::Session(record) => StoredSession::State(record),
            StoredState::Tombstone(tag) => StoredSession::Tombstone(*tag),
        }
    }

    /// The state, if it is one.
    pub(super) fn record(&self) -> Option<&Arc<Record>> {
        match self {
            StoredState::Session(record) => Some(record),
            StoredState::Tombstone(_) => None,
        }
    }

    /// Whether the session was deleted.
    pub(super) fn is_tombstone(&self) -> bool {
        matches!(self, StoredState::Tombstone(_))
    }

    /// How many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            StoredState::Session(record) => record.size(),
            StoredState::Tombstone(_) => TOMBSTONE_LEN,
        }
    }

    /// When its clock flags.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.record().and_then(|record| record.deadline())
    }

    /// When it is to be settled although no command arrives.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.record().and_then(|record| record.wake_at())
    }
}
