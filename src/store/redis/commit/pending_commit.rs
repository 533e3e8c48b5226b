//! A commit on its way through a committer, over all its retries, and how its sender learns that it failed. Does not
//! know how it is decided or committed.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::engine::{Refusal, Timestamp, Uuid};
use crate::store::{Commit, CommitOutcome, Committed, RateLimitStatus, Record, StoreError, Verdict};

use super::cancellation::Cancellation;
use super::refusals::RefusedCommit;

/// A commit that is not replied to yet.
pub(in crate::store::redis) struct PendingCommit {
    pub(super) commit: Commit,
    /// The event id: the same over all retries, so that a commit in doubt is recognised.
    pub(super) event: Uuid,
    /// When its sender stops waiting.
    pub(super) expires: Moment,
    /// Whether its sender still wants it.
    pub(super) cancellation: Arc<Cancellation>,
    /// The status of its own rate limit; counted once, however often it is retried.
    pub(super) quota: Option<RateLimitStatus>,
    /// When the window ends that it was counted in; `None` when it was only looked at.
    pub(super) window: Option<Moment>,
    /// What it was about to come to when the connection was lost: it may have been committed.
    pub(super) in_doubt: Option<InDoubt>,
    /// The state that it was decided on when it met a conflict.
    pub(super) seen: Option<(Arc<Record>, Timestamp)>,
    pub(super) reply: oneshot::Sender<Result<CommitOutcome, StoreError>>,
}

/// A commit whose outcome is unknown.
#[derive(Clone)]
pub(super) struct InDoubt {
    pub(super) record: Option<Arc<Record>>,
    pub(super) verdict: Verdict,
    /// The latest event of the state that it was based on.
    pub(super) base: Option<Uuid>,
}

impl PendingCommit {
    /// A commit that no committer has taken up yet.
    pub(in crate::store::redis) fn new(
        commit: Commit,
        event: Uuid,
        expires: Moment,
        cancellation: Arc<Cancellation>,
        reply: oneshot::Sender<Result<CommitOutcome, StoreError>>,
    ) -> Self {
        Self { commit, event, expires, cancellation, quota: None, window: None, in_doubt: None, seen: None, reply }
    }

    /// Replies that the store does not answer, or not in time.
    pub(super) fn fail_unavailable(self) {
        self.unavailable("the store does not answer");
    }

    /// Perhaps its limit was counted, perhaps not: it is not counted twice.
    pub(super) fn uncounted(mut self) -> Self {
        if self.quota.is_none() {
            self.commit.rate = None;
        }
        self
    }

    /// Replies with a conflict: other instances keep changing the session. One with a rate limit is returned, to be
    /// settled first; a clock that ran out is fired later.
    pub(super) fn fail_conflict(self) -> Option<RefusedCommit> {
        match (self.seen, &self.in_doubt, &self.commit.arrival) {
            (Some((record, now)), None, Some(_)) => {
                let actual_version = record.session().version;
                let refusal = Refusal::Conflict { actual_version, expected_version: None };
                let (record, is_tombstoned, verdict, quota) = (Some(record), false, Err(refusal), self.quota);
                let committed = Committed { record, is_tombstoned, verdict, is_replayed: false, quota, now };
                RefusedCommit::of(&self.commit, self.window, CommitOutcome::Decided(committed), self.reply)
            }
            (_, in_doubt, _) => {
                let error = match in_doubt {
                    Some(_) => StoreError::UnknownOutcome,
                    None => StoreError::Unavailable("the session is changed by others all the time"),
                };
                let _ = self.reply.send(Err(error));
                None
            }
        }
    }

    pub(super) fn unavailable(self, why: &'static str) {
        let is_unknown = self.in_doubt.is_some();
        self.fail(if is_unknown { StoreError::UnknownOutcome } else { StoreError::Unavailable(why) });
    }

    pub(super) fn fail(self, error: StoreError) {
        // A sender that does not wait any more was answered when it stopped waiting.
        let _ = self.reply.send(Err(error));
    }
}
