//! One session of a batch: what was loaded of it, and what the batch changes. Does not know how commands are judged on
//! it (`judgement.rs`), nor how it is written (`session_write.rs`), nor the rest of the batch.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{SessionId, StateTag, Timestamp};
use crate::redis::{Keyspace, Partition};
use crate::store::Record;
use crate::wire::{self, EventIds, RecordHeader};

use super::audit_producer::Backpressure;
use super::decoded_record::{self, DecodedRecord, Foreign};
use super::session_change::SessionChange;
use super::state_cache::{CachedState, StateCache};

/// A session of the batch.
pub(super) struct BatchSession {
    pub(in crate::store::redis) id: SessionId,
    pub(in crate::store::redis) key: String,
    pub(in crate::store::redis) partition: Partition,
    /// What may still be audited.
    pub(super) backpressure: Backpressure,
    pub(super) header: RecordHeader,
    /// The same, as this batch writes it.
    pub(super) written: Bytes,
    pub(in crate::store::redis) record: Option<Arc<Record>>,
    pub(super) tombstone: Option<StateTag>,
    pub(super) unreadable: Option<Foreign>,
    /// What is stored is no state, and goes.
    pub(super) is_discarded: bool,
    /// The state as it was loaded.
    pub(in crate::store::redis) loaded: Option<Arc<Record>>,
    /// The events that the loaded state remembers.
    pub(in crate::store::redis) events: EventIds,
    /// What the deadlines' index says, as far as is known.
    pub(super) indexed: Option<Timestamp>,
    /// Counted commands of this batch that were refused.
    pub(in crate::store::redis) refused: u32,
    /// What this batch does to it.
    pub(in crate::store::redis) changes: Vec<SessionChange>,
    /// A change whose outcome was not known has turned out to be made.
    pub(super) resolved: bool,
    /// A deadline was found without a session that can be read.
    pub(super) orphan: bool,
    /// The index was found to say another deadline than the session.
    pub(super) is_astray: bool,
    /// A key that its changes are written to is not what it should be.
    pub(super) is_blocked: bool,
    /// What is stored, as it was loaded.
    pub(super) value: Bytes,
}

impl BatchSession {
    pub(in crate::store::redis) fn new(id: SessionId, keyspace: &Keyspace) -> Self {
        Self {
            id,
            key: keyspace.session(id),
            partition: keyspace.partition(id),
            backpressure: Backpressure::default(),
            header: RecordHeader::default(),
            written: Bytes::new(),
            record: None,
            tombstone: None,
            unreadable: None,
            is_discarded: false,
            loaded: None,
            events: EventIds::default(),
            indexed: None,
            refused: 0,
            changes: Vec::new(),
            resolved: false,
            orphan: false,
            is_astray: false,
            is_blocked: false,
            value: Bytes::new(),
        }
    }

    /// Takes in the stored value. A value that this committer wrote itself is not decoded again; `Err` says why it
    /// cannot be read.
    pub(super) fn take_in(&mut self, value: Option<&Bytes>, cache: &StateCache) -> Result<(), String> {
        let Some(value) = value else { return Ok(()) };
        self.value = value.clone();
        if let Some(CachedState { header, record, .. }) = cache.get(self.id, value) {
            self.take(header.clone(), Some(Arc::clone(record)));
            return Ok(());
        }
        if wire::is_newer(value) {
            self.unreadable = Some(Foreign::Newer);
            return Ok(());
        }
        let read = decoded_record::read(self.id, value).inspect_err(|_| self.unreadable = Some(Foreign::Garbage));
        let DecodedRecord { header, record, tombstone, is_indexed } = read?;
        self.take(header, record);
        self.tombstone = tombstone;
        self.indexed = self.indexed.filter(|_| is_indexed);
        Ok(())
    }

    fn take(&mut self, header: RecordHeader, record: Option<Arc<Record>>) {
        self.indexed = record.as_ref().and_then(|record| record.wake_at());
        self.events = header.events.clone();
        self.header = header;
        self.loaded.clone_from(&record);
        self.record = record;
    }

    /// The state that this batch leaves once it is committed; `None` of a deleted session.
    pub(in crate::store::redis) fn left(&self) -> Option<CachedState> {
        let record = self.record.as_ref().filter(|_| self.is_changed())?;
        Some(CachedState { header: self.header.clone(), written: self.written.clone(), record: Arc::clone(record) })
    }

    /// The tag of the present state, or of the deletion.
    pub(in crate::store::redis) fn tag(&self) -> Option<StateTag> {
        self.record.as_ref().map(|record| record.session().tag()).or(self.tombstone)
    }

    /// The deadline of the loaded state.
    pub(super) fn loaded_deadline(&self) -> Option<Timestamp> {
        self.loaded.as_ref().and_then(|record| record.deadline())
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether a transaction writes something of it.
    pub(super) fn is_to_be_written(&self) -> bool {
        self.is_changed() || ((self.orphan || self.is_astray || self.is_discarded) && !self.is_blocked)
    }

    /// Drops the loaded bytes, unless a deletion compares them: they are a part of the connection's read buffer.
    pub(super) fn release(&mut self) {
        if self.tombstone.is_none() {
            self.value = Bytes::new();
        }
    }
}
