//! The tables of the database and how their keys and values are written. Does not know when.
//!
//! | table | key | value |
//! |---|---|---|
//! | `changes` | session id, epoch, version, big-endian | the audit job |
//! | `revocations` | the name of what is revoked | the revocation as `wire::revocation_text` writes it |
//! | `sessions` | session id, big-endian | when it expires (ms, big-endian), then the newest state or tombstone as `wire::encode_header` and `wire::encode_tombstone` write it |
//!
//! `changes` holds every change; `sessions` is what a start has to read.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Builder, Database, TableDefinition};
use tracing::warn;

use crate::engine::{SessionId, StateTag, Timestamp, Uuid};
use crate::store::durability::{DurableChange, Leaves};
use crate::store::record::Record;
use crate::store::stored_state::StoredState;
use crate::wire::{self, EventIds, RecordHeader};

pub(super) const CHANGES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("changes");
pub(super) const SESSIONS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("sessions");

pub(super) const REVOCATIONS: TableDefinition<'_, &str, &str> = TableDefinition::new("revocations");

/// Pages that are cached. What is written is read by a start and by requests for history.
const CACHE_BYTES: usize = 64 << 20;
const EXPIRES_LEN: usize = 8;

/// The key of a change.
pub(in crate::store::file) type ChangeKey = [u8; 32];

/// Why the database could not do something: for the log and for the readiness report.
pub(in crate::store::file) type Fault = String;

/// A session as a start reads it.
pub(in crate::store) struct RestoredSession {
    pub(in crate::store) id: SessionId,
    pub(in crate::store) state: StoredState,
    /// Its latest events that have keys.
    pub(in crate::store) keyed: Option<Box<EventIds>>,
    pub(in crate::store) expires: Timestamp,
}

pub(super) const FIRST: StateTag = StateTag { epoch: 0, version: 0 };
pub(super) const LAST: StateTag = StateTag { epoch: u64::MAX, version: u64::MAX };

pub(super) fn fault(error: impl Into<redb::Error>) -> Fault {
    let error = error.into();
    // The library's message would send people looking for a broken disk.
    if let redb::Error::Corrupted(why) = &error
        && why.contains("file format version <=")
    {
        return format!("a newer version wrote it, whose format is not known here: {why}");
    }
    error.to_string()
}

pub(super) fn open(path: &Path) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    let told = Cell::new(false);
    let file = path.to_owned();
    builder.set_repair_callback(move |_| {
        if !told.replace(true) {
            warn!(file = %file.display(), "the last process did not stop in order: its file is being checked");
        }
    });
    let database = builder.create(path)?;
    let transaction = database.begin_write()?;
    transaction.open_table(CHANGES)?;
    transaction.open_table(SESSIONS)?;
    transaction.open_table(REVOCATIONS)?;
    transaction.commit()?;
    Ok(database)
}

pub(super) fn key(id: SessionId, tag: StateTag) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&id.0.bits().to_be_bytes());
    key[16..24].copy_from_slice(&tag.epoch.to_be_bytes());
    key[24..].copy_from_slice(&tag.version.to_be_bytes());
    key
}

pub(super) fn tag(key: &[u8; 32]) -> StateTag {
    let number = |start: usize| key[start..start + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    StateTag { epoch: number(16), version: number(24) }
}

pub(super) fn value(change: &DurableChange) -> Vec<u8> {
    let mut header = RecordHeader { changed_us: change.entry.at.as_ms() * 1_000, ..RecordHeader::default() };
    header.events = change.keyed.as_deref().cloned().unwrap_or_default();
    header.events.push(change.event);
    let mut out = change.expires.as_ms().to_be_bytes().to_vec();
    match change.leaves {
        Leaves::State => {
            wire::begin(wire::format_of(change.record.session(), 1), &mut out);
            header.deadline = change.record.deadline();
            wire::encode_header(&mut out, &header);
            change.record.encoded().body().write_members(&mut out);
        }
        Leaves::Tombstone => wire::encode_tombstone(&mut out, &header, change.tag),
    }
    out
}

pub(super) fn restored(key: &[u8; 16], value: &[u8]) -> Result<RestoredSession, Fault> {
    let id = SessionId(Uuid::from_bits(u128::from_be_bytes(*key)));
    let (expires, state, keyed) =
        stored(value).ok_or_else(|| format!("what is kept of session {id} cannot be read"))?;
    Ok(RestoredSession { id, state, keyed, expires })
}

fn stored(value: &[u8]) -> Option<(Timestamp, StoredState, Option<Box<EventIds>>)> {
    let (expires, stored) = value.split_first_chunk::<EXPIRES_LEN>()?;
    let expires = Timestamp::from_ms(u64::from_be_bytes(*expires));
    let stored = &wire::modern(Bytes::copy_from_slice(stored));
    let (_, body) = wire::peek(stored).ok()?;
    let keyed = wire::read_header(stored).ok()?.events.keyed();
    let state = match body {
        wire::RecordBody::State(..) => StoredState::Session(Arc::new(Record::read(wire::decode(stored).ok()?))),
        wire::RecordBody::Tombstone(tag) => StoredState::Tombstone(tag),
    };
    Some((expires, state, keyed))
}
