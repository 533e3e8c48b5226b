//! The agent that brings the tables up to date as soon as the database answers. Does not know who waits for them.

use std::time::Duration;

use tracing::{info, warn};

use crate::supervision::{Ending, Supervisor};

use super::schema::{MigrateError, Migrated, migrate_server};
use super::server::Server;

/// How long to leave a database alone that does not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Migrates as soon as it can be done, and then does nothing. Ends only when it cannot ever be done, or met a fault of
/// ours.
pub async fn keep_migrated(server: Server, supervisor: Supervisor) -> Ending {
    let mut was_away = false;
    loop {
        let asked = server.clone();
        // The client blocks, and has a runtime of its own.
        match supervisor.block("migrate", move || migrate_server(&asked)).await {
            Ok(Ok(Migrated { applied })) => {
                info!(?applied, "the audit's tables are there");
                return std::future::pending().await;
            }
            Ok(Err(why @ MigrateError::Newer(_))) => {
                return Ending::Hopeless(format!("the audit's database cannot be used: {why}"));
            }
            Ok(Err(MigrateError::Database(why))) => {
                if !std::mem::replace(&mut was_away, true) {
                    warn!(why, "waiting for the audit's database");
                }
            }
            Err(panicked) => return panicked.into(),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
