//! A command on its way through a committer, over all its tries, and how its sender is told when it is given
//! up. Does not know how it is judged or committed.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::engine::{Refusal, Timestamp, Uuid};
use crate::store::{Commit, Committed, RateLimitStatus, Record, StoreError, Verdict};

use super::claim::Claim;
use super::refused::Refused;

/// A command on its way.
pub(super) struct Job {
    pub(super) commit: Commit,
    /// Names the change over all its tries.
    pub(super) event: Uuid,
    /// When its sender stops waiting.
    pub(super) expires: Moment,
    /// Whether its sender still wants it.
    pub(super) claim: Arc<Claim>,
    /// Where its own limit stands; counted once, however often it is tried.
    pub(super) quota: Option<RateLimitStatus>,
    /// When the window ends that it was counted in; `None` when it was only looked at.
    pub(super) window: Option<Moment>,
    /// What it was about to come to when the connection was lost: perhaps it has.
    pub(super) attempt: Option<Attempt>,
    /// The state that it was judged on when another instance was faster.
    pub(super) seen: Option<(Arc<Record>, Timestamp)>,
    pub(super) reply: oneshot::Sender<Result<Committed, StoreError>>,
}

/// A change of which it is not known whether it was made.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) record: Option<Arc<Record>>,
    pub(super) verdict: Verdict,
    /// The latest event of the state that it was based on.
    pub(super) base: Option<Uuid>,
}

impl Job {
    /// The store does not answer, or not in time.
    pub(super) fn give_up(self) {
        self.unavailable("the store does not answer");
    }

    /// Perhaps its limit was counted, perhaps not: it is not counted twice.
    pub(super) fn uncounted(mut self) -> Self {
        if self.quota.is_none() {
            self.commit.rate = None;
        }
        self
    }

    /// Others keep changing the session. Whoever asked is told so, if it has no limit here already; a clock that ran out is
    /// fired later.
    pub(super) fn lose(self) -> Option<Refused> {
        match (self.seen, &self.attempt, &self.commit.arrival) {
            (Some((record, now)), None, Some(_)) => {
                let actual_version = record.session().version;
                let refusal = Refusal::Conflict { actual_version, expected_version: None };
                let committed = Committed { record: Some(record), verdict: Some(Err(refusal)), quota: self.quota, now };
                Refused::of(&self.commit, self.window, committed, self.reply)
            }
            (_, attempt, _) => {
                let error = match attempt {
                    Some(_) => StoreError::UnknownOutcome,
                    None => StoreError::Unavailable("the session is changed by others all the time"),
                };
                let _ = self.reply.send(Err(error));
                None
            }
        }
    }

    pub(super) fn unavailable(self, why: &'static str) {
        let is_unknown = self.attempt.is_some();
        self.fail(if is_unknown { StoreError::UnknownOutcome } else { StoreError::Unavailable(why) });
    }

    pub(super) fn fail(self, error: StoreError) {
        // Whoever does not wait any more was answered when they stopped.
        let _ = self.reply.send(Err(error));
    }
}
