//! The agent that brings the tables up to date as soon as the database answers, and what others may know of that. Does not
//! know who waits for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::supervision::{Ending, Supervisor, panic_point};

use super::schema::{MigrateError, Migrated, migrate_server};
use super::server::Server;

/// How long to leave a database alone that does not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Whether the tables are there.
#[derive(Clone, Debug)]
pub struct Tables(Arc<watch::Sender<Found>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// Nobody has been there yet.
    Nothing,
    /// The database does not answer, or refuses; why.
    Away(String),
    Tables,
}

impl Default for Tables {
    /// Nothing is known yet.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Found::Nothing)))
    }
}

impl Tables {
    /// Waits until somebody was there: whoever writes before has nothing to write into, though nothing is wrong.
    pub async fn looked_for(&self) {
        // It is not dropped while somebody waits.
        let _ = self.0.subscribe().wait_for(|found| *found != Found::Nothing).await;
    }

    /// Waits until they are there.
    pub async fn are_there(&self) {
        // As above.
        let _ = self.0.subscribe().wait_for(|found| *found == Found::Tables).await;
    }

    /// Why nothing can be written there yet, although requests are served.
    pub fn degraded(&self) -> Option<String> {
        match &*self.0.borrow() {
            Found::Nothing => Some("the audit's database was not reached yet".to_owned()),
            Found::Away(why) => Some(format!("the audit's database was never reached: {why}")),
            Found::Tables => None,
        }
    }
}

/// Migrates as soon as it can be done, and then does nothing. Ends only when it cannot ever be done, or met a fault of
/// ours.
pub async fn keep_migrated(server: Server, supervisor: Supervisor, tables: Tables) -> Ending {
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
                tables.0.send_replace(Found::Tables);
                return std::future::pending().await;
            }
            Ok(Err(why @ MigrateError::Newer(_))) => {
                tables.0.send_replace(Found::Away(why.to_string()));
                return Ending::Hopeless(format!("the audit's database cannot be used: {why}"));
            }
            Ok(Err(MigrateError::Database(why))) => {
                if !std::mem::replace(&mut was_away, true) {
                    warn!(why, "waiting for the audit's database");
                }
                tables.0.send_replace(Found::Away(why));
            }
            Err(panicked) => {
                tables.0.send_replace(Found::Away("a fault of ours".to_owned()));
                return panicked.into();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
