//! Migrates the schema as soon as the database answers, and publishes its status. Does not know who waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::supervision::{Supervisor, TaskExit, panic_point};

use super::migrations::{MigrateError, Migrated, migrate_server};
use super::server::PostgresServer;

/// How long to leave a database alone that does not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// The schema's status, as far as it is known. Cloning shares it.
#[derive(Clone, Debug)]
pub struct SchemaStatus(Arc<watch::Sender<SchemaState>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum SchemaState {
    /// The database was not reached yet.
    Unknown,
    /// The database does not answer, or refuses the migration; why.
    Unavailable(String),
    /// The schema is up to date.
    Ready,
}

impl Default for SchemaStatus {
    /// Nothing is known yet.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(SchemaState::Unknown)))
    }
}

impl SchemaStatus {
    /// Waits for the first attempt to end: a writer would find no tables before, and report an error where there is none.
    pub async fn known(&self) {
        // It is not dropped while a caller waits.
        let _ = self.0.subscribe().wait_for(|found| *found != SchemaState::Unknown).await;
    }

    /// Waits until the schema is up to date.
    pub async fn ready(&self) {
        // As above.
        let _ = self.0.subscribe().wait_for(|found| *found == SchemaState::Ready).await;
    }

    /// Why nothing can be written yet, although requests are served.
    pub fn degraded(&self) -> Option<String> {
        match &*self.0.borrow() {
            SchemaState::Unknown => Some("the audit's database was not reached yet".to_owned()),
            SchemaState::Unavailable(why) => Some(format!("the audit's database was never reached: {why}")),
            SchemaState::Ready => None,
        }
    }
}

/// Migrates as soon as the database answers, with retries, and then waits for ever. Ends only when a migration can never
/// succeed, or panicked.
pub async fn keep_migrated(server: PostgresServer, supervisor: Supervisor, tables: SchemaStatus) -> TaskExit {
    let mut was_away = false;
    loop {
        let asked = server.clone();
        // The client blocks, and has a runtime of its own.
        let migrated = supervisor.block("migrate", move || {
            panic_point("migration", "");
            migrate_server(&asked)
        });
        match migrated.await {
            Ok(Ok(Migrated { applied })) => {
                info!(?applied, "the audit's tables are there");
                tables.0.send_replace(SchemaState::Ready);
                return std::future::pending().await;
            }
            Ok(Err(why @ MigrateError::Newer(_))) => {
                tables.0.send_replace(SchemaState::Unavailable(why.to_string()));
                return TaskExit::Fatal(format!("the audit's database cannot be used: {why}"));
            }
            Ok(Err(MigrateError::Database(why))) => {
                if !std::mem::replace(&mut was_away, true) {
                    warn!(why, "waiting for the audit's database");
                }
                tables.0.send_replace(SchemaState::Unavailable(why));
            }
            Err(panicked) => {
                tables.0.send_replace(SchemaState::Unavailable("a fault of ours".to_owned()));
                return panicked.into();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
