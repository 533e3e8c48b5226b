//! PostgreSQL: writes batches of audit jobs as rows, and reads a session's history back. Does not know where jobs come from.
//!
//! A [`Connection`] drives a runtime of its own: it is made, used and dropped on threads, never in a task.

mod agent;
mod archive;
mod row_batch;
mod binary;
mod connection;
mod erase;
mod identity;
mod retention;
mod schema;
mod server;
mod sink;
mod tls;

pub use agent::{Tables, keep_migrated};
pub use archive::PostgresArchive;
pub use connection::{Connection, Failure};
pub use erase::erase_at;
pub use identity::identity;
pub use retention::keep_retained;
pub use schema::{MigrateError, Migrated, migrate, migrate_server};
pub use server::{Access, Server};
pub use sink::PostgresSink;
