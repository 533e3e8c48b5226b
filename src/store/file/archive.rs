//! The archive that is the file's history. Reads block, so they are made where blocking is allowed. Does not know how
//! history is written.

use std::sync::Arc;

use tracing::error;

use crate::engine::{SessionId, StateTag};
use crate::store::archive::{Archive, Archived, Change};
use crate::store::{Answer, StoreError};
use crate::wire;

use super::tables::{Fault, Tables};

/// The history of all sessions.
pub(super) struct Library(Arc<Tables>);

impl Library {
    /// The one in a database.
    pub(super) fn new(tables: Arc<Tables>) -> Self {
        Self(tables)
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Tables) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tables = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || look(&tables)).await;
        read.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| {
            error!(%why, "the file's history cannot be read");
            StoreError::Unavailable("the history cannot be read")
        })
    }
}

impl Archive for Library {
    fn newest(&self, id: SessionId) -> Answer<'_, Option<Archived>> {
        Box::pin(async move {
            let Some((tag, job)) = self.read(move |tables| tables.last(id)).await? else { return Ok(None) };
            let told = wire::read_job(&job).ok_or(StoreError::Unreadable)?;
            let state = job.slice_ref(told.state);
            Ok(Some(Archived { tag, at: told.at, is_deleted: told.is_deletion, state }))
        })
    }

    fn changes(&self, id: SessionId, after: Option<StateTag>, limit: usize) -> Answer<'_, Vec<Change>> {
        Box::pin(async move {
            let jobs = self.read(move |tables| tables.jobs(id, after, limit)).await?;
            let change = |(tag, job): (StateTag, bytes::Bytes)| {
                let is_deletion = wire::read_job(&job).ok_or(StoreError::Unreadable)?.is_deletion;
                Ok(Change { tag, is_deletion, job })
            };
            jobs.into_iter().map(change).collect()
        })
    }
}
