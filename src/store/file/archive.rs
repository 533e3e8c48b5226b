//! The archive in the file. Its reads block, so they run on threads where blocking is allowed. Does not know how history is
//! written.

use std::sync::Arc;

use tracing::error;

use crate::engine::{SessionId, StateTag};
use crate::store::contract::{
    Archive, ArchivedChange, ArchivedChanges, ArchivedState, PageLimit, StoreError, StoreFuture,
};
use crate::supervision::{Supervisor, panic_point};
use crate::wire::{self, Cursor};

use super::journal::Journal;
use super::tables::{Fault, LastChange, Tables};

/// The history of all sessions.
pub(super) struct RedbArchive {
    tables: Arc<Tables>,
    journal: Arc<Journal>,
    supervisor: Supervisor,
}

impl RedbArchive {
    /// The archive in a database that a journal writes.
    pub(super) fn new(tables: Arc<Tables>, journal: Arc<Journal>, supervisor: Supervisor) -> Self {
        Self { tables, journal, supervisor }
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Tables) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tables = Arc::clone(&self.tables);
        let look = move || {
            panic_point("history", "");
            look(&tables)
        };
        let read = self.supervisor.block("history", look).await;
        read.unwrap_or_else(|panicked| Err(panicked.to_string())).map_err(|why| {
            error!(%why, "the file's history cannot be read");
            StoreError::Unavailable("the history cannot be read")
        })
    }
}

impl Archive for RedbArchive {
    fn newest(&self, id: SessionId) -> StoreFuture<'_, Option<ArchivedState>> {
        Box::pin(async move {
            let Some(LastChange { tag, job, events }) = self.read(move |tables| tables.last(id)).await? else {
                return Ok(None);
            };
            let told = wire::read_job(&job).ok_or(StoreError::Unreadable)?;
            let state = job.slice_ref(told.state);
            Ok(Some(ArchivedState { tag, at: told.at, is_deleted: told.is_deletion, events, state }))
        })
    }

    fn changes(&self, id: SessionId, after: Option<Cursor>, room: PageLimit) -> StoreFuture<'_, ArchivedChanges> {
        Box::pin(async move {
            let (jobs, has_more) = self.read(move |tables| tables.jobs(id, after.map(|after| after.tag), room)).await?;
            let change = |(tag, job): (StateTag, bytes::Bytes)| {
                let is_deletion = wire::read_job(&job).ok_or(StoreError::Unreadable)?.is_deletion;
                Ok(ArchivedChange { tag, is_deletion, job })
            };
            let changes = jobs.into_iter().map(change).collect::<Result<_, StoreError>>()?;
            // Each change has a tag of its own here.
            Ok(ArchivedChanges { changes, has_more, told: None })
        })
    }

    fn erase(&self, id: SessionId) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let count = self.read(move |tables| tables.count(id)).await?;
            let ticket = self.journal.erase(id)?;
            match self.journal.wait(ticket, true).await {
                true => Ok(count),
                false => Err(StoreError::Unavailable("the file is not written in time")),
            }
        })
    }
}
