//! The stored record of a session, decoded and checked. Does not know what is decided on it.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{SessionId, StateTag};
use crate::store::Record;
use crate::wire::{self, RecordBody, RecordHeader};

/// A stored value that cannot be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// No server can read it.
    Garbage,
    /// A newer server can read it: it is left alone.
    Newer,
}

/// The stored record of a session.
pub(super) struct DecodedRecord {
    pub(super) header: RecordHeader,
    pub(super) record: Option<Arc<Record>>,
    /// The tag of its deletion, if it is a tombstone.
    pub(super) tombstone: Option<StateTag>,
    /// Its deadline is in the index, if it has one.
    pub(super) is_indexed: bool,
}

/// Decodes a stored value and checks it, since any client of Redis may have written it.
pub(super) fn read(id: SessionId, value: &Bytes) -> Result<DecodedRecord, String> {
    let foreign = |wire::NotARecord| "it does not begin with the member of the store's own".to_owned();
    let stored = value;
    let value = &wire::modern(stored.clone());
    // The deadline of a state of version 1 is not in the index.
    let is_indexed = stored.first() == Some(&2) || stored.as_ptr() == value.as_ptr();
    let (header, (_, kept)) = (wire::read_header(value).map_err(foreign)?, wire::peek(value).map_err(foreign)?);
    match kept {
        RecordBody::State(tag, _) => {
            let session = wire::decode_sound(value).map_err(|error| error.to_string())?;
            if session.id != id || session.tag() != tag {
                return Err("it is the state of another session, or has two names".to_owned());
            }
            Ok(DecodedRecord { header, record: Some(Arc::new(Record::read(session))), tombstone: None, is_indexed })
        }
        RecordBody::Tombstone(tag) => Ok(DecodedRecord { header, record: None, tombstone: Some(tag), is_indexed }),
    }
}
