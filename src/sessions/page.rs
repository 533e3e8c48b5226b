//! A page of a session's history: changes in order, and never past a gap that a pending change may fill. Does not know
//! where they are stored.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::StateTag;
use crate::runtime::time;
use crate::store::{ArchivedChange, ArchivedChanges, PendingAudit, StoreError};
use crate::wire::Cursor;

/// Bytes of a page, but for its last change.
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Pages in memory at once; further requests wait.
const PAGES_MAX: usize = 8;

const BUSY: StoreError = StoreError::Unavailable("too many pages of history are being read");

/// Permits for the pages that are in memory. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct PagePermits(Arc<Semaphore>);

impl Default for PagePermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PAGES_MAX)))
    }
}

impl PagePermits {
    /// A permit for a page; waits for it as long as `patience`.
    pub(super) async fn enter(&self, patience: Duration) -> Result<OwnedSemaphorePermit, StoreError> {
        match time::timeout(patience, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(BUSY),
        }
    }
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// In the order of their tags.
    pub changes: Vec<ArchivedChange>,
    /// Whether the archive holds more than this.
    pub has_more: bool,
    /// The newest pending change.
    pub queued: Option<StateTag>,
    /// How many changes of the last one's state are in this page and those before, if there are more of them.
    told: Option<u64>,
    /// Its permit, until it is written.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Page {
    /// The page after `after`, from what the archive holds. `queued` was read before the archive was.
    pub fn new(found: ArchivedChanges, after: Option<Cursor>, queued: PendingAudit) -> Self {
        let ArchivedChanges { mut changes, has_more, told } = found;
        let mut whole = changes.len();
        if queued != PendingAudit::default() {
            let mut last = after.map(|after| (after.tag, false));
            let gap = changes.iter().position(|change| {
                let last = last.replace((change.tag, change.is_deletion));
                !follows(last, change)
            });
            whole = gap.unwrap_or(whole);
        }
        let is_cut = changes.len() > whole;
        changes.truncate(whole);
        let told = told.filter(|_| !is_cut);
        Self { changes, has_more: has_more || is_cut, queued: queued.newest, told, _permit: None }
    }

    /// The same, which holds a permit.
    pub(super) fn within(self, permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit), ..self }
    }

    /// The cursor of the next page, behind the last change of this one.
    pub fn next(&self, after: Option<Cursor>) -> Option<Cursor> {
        self.changes.last().map(|change| Cursor { tag: change.tag, told: self.told }).or(after)
    }
}

/// Whether nothing can be missing between a change, of which is known whether it was a deletion, and the next.
fn follows(last: Option<(StateTag, bool)>, change: &ArchivedChange) -> bool {
    let StateTag { epoch, version } = change.tag;
    match last {
        // Changes that version 1 wrote without a state come first.
        None => version <= 1,
        Some((last, _)) if change.tag == last || version == last.version + 1 => true,
        Some((last, _)) if epoch == last.epoch => false,
        // An id that comes back begins anew; after a loss an earlier version is the base of a later epoch.
        Some((last, was_deletion)) => (version == 1 && was_deletion) || (version > 1 && version <= last.version),
    }
}

#[cfg(test)]
mod tests {
    use super::{BUSY, Cursor, Duration, PAGES_MAX, Page, PagePermits, StateTag};
    use crate::store::{ArchivedChange, ArchivedChanges, PendingAudit};

    fn tags(page: &Page) -> Vec<(u64, u64)> {
        page.changes.iter().map(|change| (change.tag.epoch, change.tag.version)).collect()
    }

    fn page(held: &[(u64, u64)], after: Option<(u64, u64)>, limit: usize, is_queued: bool) -> (Vec<(u64, u64)>, bool) {
        let tag = |&(epoch, version): &(u64, u64)| StateTag { epoch, version };
        let change =
            |at: &(u64, u64)| ArchivedChange { tag: tag(at), is_deletion: at.1 == 9, job: bytes::Bytes::new() };
        let queued = PendingAudit { newest: None, has_stragglers: is_queued };
        let changes = held.iter().take(limit).map(change).collect();
        let found = ArchivedChanges { changes, has_more: held.len() > limit, told: None };
        let page = Page::new(found, after.as_ref().map(tag).map(Cursor::from), queued);
        (tags(&page), page.has_more)
    }

    #[tokio::test]
    async fn so_many_pages_are_in_memory_and_others_wait() {
        let permits = PagePermits::default();
        let mut held = Vec::new();
        for _ in 0..PAGES_MAX {
            held.push(permits.enter(Duration::ZERO).await.expect("there is room"));
        }
        assert_eq!(permits.enter(Duration::ZERO).await.err(), Some(BUSY));
        held.pop();
        assert!(permits.enter(Duration::ZERO).await.is_ok(), "there is room again");
    }

    #[test]
    fn ends_at_its_limit() {
        assert_eq!(page(&[(1, 1), (1, 2), (1, 3)], None, 2, false), (vec![(1, 1), (1, 2)], true));
        assert_eq!(page(&[(1, 3)], Some((1, 2)), 2, true), (vec![(1, 3)], false));
    }

    #[test]
    fn ends_at_a_gap_that_may_be_filled() {
        let held = [(1, 1), (1, 2), (1, 4)];
        assert_eq!(page(&held, None, 10, true), (vec![(1, 1), (1, 2)], true));
        assert_eq!(page(&held, None, 10, false), (held.to_vec(), false));
        assert_eq!(page(&[(1, 2)], None, 10, true), (vec![], true));
        assert_eq!(page(&[(1, 4)], Some((1, 2)), 10, true), (vec![], true));
    }

    #[test]
    fn what_shares_a_state_is_no_gap() {
        let held = [(0, 0), (0, 0), (5, 1), (5, 1), (5, 2)];
        assert_eq!(page(&held, None, 20, true), (held.to_vec(), false));
        assert_eq!(page(&held[3..], Some((5, 1)), 20, true), (held[3..].to_vec(), false));
    }

    #[test]
    fn goes_on_over_epochs() {
        // Recovered, set back, deleted and created again.
        let held = [(1, 1), (1, 2), (5, 3), (7, 3), (7, 4), (7, 5), (7, 6), (7, 7), (7, 8), (7, 9), (8, 1)];
        assert_eq!(page(&held, None, 20, true), (held.to_vec(), false));
        assert_eq!(page(&[(1, 8), (2, 1)], Some((1, 7)), 20, true), (vec![(1, 8)], true));
    }
}
