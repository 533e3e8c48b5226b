//! Erases all rows of a session. Does not know who asks for it.

use std::time::Duration;

use tokio_postgres::{Client, Error};

use crate::engine::SessionId;

use super::connection::PostgresError;
use super::server::PostgresServer;

/// How long the erasure may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Connects to a server and erases a session; returns the number of changes. Blocks; not to be called in a task.
pub fn erase_at(server: &PostgresServer, id: SessionId) -> Result<u64, PostgresError> {
    server.connect(TIMEOUT)?.ask(TIMEOUT, async |client| erase(client, id).await)
}

/// The same on a connection: all tables or none, in the order in which writers lock them. A change is a row of
/// `sync_events`.
pub(super) async fn erase(client: &mut Client, id: SessionId) -> Result<u64, Error> {
    let id = id.to_string();
    let transaction = client.transaction().await?;
    let mut changes = 0;
    for table in ["sync_events", "sync_sessions", "sync_participants"] {
        let delete = format!("delete from {table} where session_id = $1::text::uuid");
        let rows = transaction.execute(&delete, &[&id]).await?;
        if table == "sync_events" {
            changes = rows;
        }
    }
    transaction.commit().await?;
    Ok(changes)
}
