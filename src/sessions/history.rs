//! A session's history: reads pages of it from the archive, and erases it. Does not know how a page is cut.

use std::time::Duration;

use crate::engine::{Refusal, SessionId};
use crate::runtime::time;
use crate::store::{PageLimit, PendingAudit, StoreError};
use crate::wire::Cursor;

use super::Sessions;
use super::page::{self, Page};
use super::reply::Failure;

/// How soon to look again whether the pending audit is written.
const ERASE_PAUSE: Duration = Duration::from_millis(20);

const ON_THE_WAY: StoreError =
    StoreError::Unavailable("the session is deleted; its history is forgotten when this is asked again a little later");

impl Sessions {
    /// The changes of a session after `after`, `limit` of them at most.
    pub async fn history(&self, id: SessionId, after: Option<Cursor>, limit: usize) -> Result<Page, Failure> {
        let recovery = self.inner.recovery.as_ref().ok_or(Failure::NoHistory)?;
        let permit = self.inner.page_permits.enter(recovery.patience()).await.map_err(Failure::Store)?;
        // In this order: a change that is not pending any more has been written.
        let queued = self.inner.store.pending_audit(id).await.map_err(Failure::Store)?;
        let room = PageLimit { changes: limit, bytes: page::BYTES_MAX };
        let found = recovery.changes(id, after, room, self.client).await.map_err(Failure::Store)?;
        if found.changes.is_empty() && after.is_none() && queued.newest.is_none() {
            return Err(Failure::Refused(id, Refusal::NotFound));
        }
        Ok(Page::new(found, after, queued).within(permit))
    }

    /// Erases the history of a session, once its pending changes are written.
    pub async fn erase(&self, id: SessionId) -> Result<(), Failure> {
        let recovery = self.inner.recovery.as_ref().ok_or(Failure::NoHistory)?;
        let written = async {
            loop {
                match self.inner.store.pending_audit(id).await {
                    Ok(queued) if queued == PendingAudit::default() => return Ok(()),
                    Ok(_) => time::sleep(ERASE_PAUSE).await,
                    Err(error) => return Err(error),
                }
            }
        };
        let written = time::timeout(recovery.patience(), written).await;
        written.map_err(|_| ON_THE_WAY).flatten().map_err(Failure::Store)?;
        recovery.archive().erase(id).await.map(|_| ()).map_err(Failure::Store)
    }
}
