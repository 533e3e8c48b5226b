//! PostgreSQL: writes batches of audit jobs as rows, and reads a session's history back. Does not know where jobs come from.
//!
//! A [`PostgresConnection`] drives a runtime of its own: it is made, used and dropped on threads, never in a task.

mod archive;
mod connection;
mod erase;
mod identity;
mod migrations;
mod migrator;
mod retention;
mod revocations;
mod row_batch;
mod server;
mod sink;
mod sql_types;
mod tls;
mod url;

pub use archive::PostgresArchive;
pub use connection::{PostgresConnection, PostgresError};
pub use erase::erase_at;
pub use identity::identity;
pub use migrations::{MigrateError, Migrated, migrate, migrate_server};
pub use migrator::{SchemaStatus, keep_migrated};
pub use retention::keep_retained;
pub use server::PostgresServer;
pub use sink::PostgresSink;
pub use url::PostgresAccess;
