//! What the embedded store keeps over a restart: a directory with one database, into which a journal writes every change
//! before it is acknowledged. Does not know how states are kept in memory.

mod archive;
mod backup;
mod data_dir;
mod files;
mod journal;
mod journal_writer;
mod journaled;
mod revocations;
mod tables;
mod timeline;

pub use data_dir::DataDir;
pub use journaled::Journaled;
pub(super) use tables::RestoredSession;
