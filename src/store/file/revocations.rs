//! Revocations in the data directory. Does not know what is revoked by them.

use std::sync::Arc;

use tracing::error;

use crate::store::contract::{KeptRevocations, RevocationStore, StoreError, StoreFuture};
use crate::supervision::Supervisor;
use crate::wire::Revocation;

use super::journal::Journal;
use super::tables::Tables;

/// The revocations in a database that a journal writes.
pub(super) struct RedbRevocations {
    tables: Arc<Tables>,
    journal: Arc<Journal>,
    supervisor: Supervisor,
}

impl RedbRevocations {
    pub(super) fn new(tables: Arc<Tables>, journal: Arc<Journal>, supervisor: Supervisor) -> Self {
        Self { tables, journal, supervisor }
    }
}

impl RevocationStore for RedbRevocations {
    fn keep(&self, revocations: Vec<Revocation>, replaced: Vec<Revocation>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let ticket = self.journal.revoke(revocations, replaced)?;
            match self.journal.wait(ticket, true).await {
                true => Ok(()),
                false => Err(StoreError::UnknownOutcome),
            }
        })
    }

    fn kept(&self, _: bool) -> StoreFuture<'_, Option<KeptRevocations>> {
        Box::pin(async move {
            let tables = Arc::clone(&self.tables);
            let read = self.supervisor.block("revocations", move || tables.revocations()).await;
            let read = read.unwrap_or_else(|panicked| Err(panicked.to_string())).map_err(|why| {
                error!(%why, "the file's revocations cannot be read");
                StoreError::Unavailable("the revocations cannot be read")
            });
            read.map(|revocations| Some(KeptRevocations { is_empty: revocations.is_empty(), revocations }))
        })
    }
}
