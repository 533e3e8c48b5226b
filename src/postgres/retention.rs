//! Retention: removes history older than a limit, whole sessions that are over, and changes before the newest state of those
//! that live. One instance at a time does it, under an advisory lock, a few sessions in a transaction. Does not know who set
//! the limit.

use std::time::Duration;

use tracing::{info, warn};

use crate::supervision::{Supervisor, TaskExit, panic_point};

use super::connection::PostgresError;
use super::migrator::SchemaStatus;
use super::server::PostgresServer;

/// The pause between rounds.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// The advisory lock of the instance that does it.
const LOCK: i64 = 0x0053_796e_634b_6170;

/// How long a few sessions may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);

/// Sessions in a transaction.
const SLICE: i64 = 100;

/// Before every other id.
const FIRST: &str = "00000000-0000-0000-0000-000000000000";

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RemovedHistory {
    changes: i64,
    sessions: i64,
}

/// Removes what is older than `age_max`, now and then.
pub async fn keep_retained(
    server: PostgresServer,
    age_max: Duration,
    tables: SchemaStatus,
    supervisor: Supervisor,
) -> TaskExit {
    tables.ready().await;
    loop {
        let asked = server.clone();
        let removed = supervisor.block("retention", move || {
            panic_point("retention", "");
            remove(&asked, age_max)
        });
        match removed.await {
            Ok(Ok(RemovedHistory { changes: 0, sessions: 0 })) => {}
            Ok(Ok(RemovedHistory { changes, sessions })) => {
                info!(changes, sessions, "history was removed that is older than it is kept");
            }
            Ok(Err(failure)) => warn!(%failure, "old history was not removed"),
            Err(panicked) => return panicked.into(),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Goes through all sessions once, unless another instance does. Blocks.
fn remove(server: &PostgresServer, age_max: Duration) -> Result<RemovedHistory, PostgresError> {
    let mut connection = server.connect(STATEMENT_TIMEOUT)?;
    let mut removed = RemovedHistory::default();
    let is_ours = connection.ask(ANSWER_TIMEOUT, async |client| {
        client.query_one("select pg_try_advisory_lock($1)", &[&LOCK]).await?.try_get::<_, bool>(0)
    })?;
    if !is_ours {
        return Ok(removed);
    }
    let (mut after, age_s) = (FIRST.to_owned(), age_max.as_secs_f64());
    loop {
        let row = connection.ask(ANSWER_TIMEOUT, async |client| {
            client.query_one(include_str!("../../sql/forget.sql"), &[&after, &age_s, &SLICE]).await
        })?;
        removed.changes += row.try_get::<_, i64>(1)?;
        removed.sessions += row.try_get::<_, i64>(2)?;
        match row.try_get::<_, Option<String>>(0)? {
            Some(last) => after = last,
            None => return Ok(removed),
        }
    }
}
