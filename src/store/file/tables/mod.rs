//! The tables of the data directory's database: schema, writes, reads and copies. All of it blocks. Does not know who waits
//! for a write.

mod copy;
mod database;
mod reads;
mod revocations;
mod schema;

pub(super) use copy::{CopiedRow, DatabaseCopy};
pub(super) use database::{Tables, WriteOp};
pub(super) use reads::{LastChange, OldChanges};
pub(in crate::store) use schema::RestoredSession;
pub(super) use schema::{ChangeKey, Fault};
