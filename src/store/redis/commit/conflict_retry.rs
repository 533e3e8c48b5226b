//! Optimistic locking: what met a conflict with another instance is retried here, with jitter, a few times, each
//! session by itself; and what else waits for another attempt, of which commits in doubt go first. Does not know how a
//! batch is attempted.

use std::time::Duration;

use crate::clock::Moment;
use crate::store::Metrics;
use crate::store::redis::jitter;

use super::pending_commit::PendingCommit;
use super::refusals::RefusedCommit;

/// Retries of a session that other instances keep changing.
const TRIES_MAX: u32 = 8;
/// The backoff after a conflict, in microseconds; jitter picks from the range.
const CONFLICT_PAUSE_US: (u64, u64) = (200, 10_000);

/// Batches that wait for another attempt.
#[derive(Default)]
pub(super) struct RetryQueue(Vec<Retry>);

/// A batch that is attempted when it is due.
pub(super) struct Retry {
    pub(super) due: Moment,
    /// Conflicts so far; after one all commits are of one session, which is attempted by itself.
    pub(super) tries: u32,
    pub(super) commits: Vec<PendingCommit>,
}

/// What a committer does next.
pub(super) enum NextAttempt {
    /// Attempts this batch.
    Now(Retry),
    /// Waits until then, and takes no other commands: a record remembers its last events only.
    DoubtUntil(Moment),
    /// Waits until then, or for other commands.
    RetryAt(Moment),
    /// Waits for commands.
    Idle,
}

impl RetryQueue {
    /// Adds commits, unless there are none.
    pub(super) fn push(&mut self, due: Moment, tries: u32, commits: Vec<PendingCommit>) {
        if !commits.is_empty() {
            self.0.push(Retry { due, tries, commits });
        }
    }

    /// Adds commits that met a conflict, each session by itself. Returns those that are refused after so many tries.
    pub(super) fn retry_conflict(
        &mut self,
        now: Moment,
        tries: u32,
        commits: Vec<PendingCommit>,
        metrics: &Metrics,
    ) -> Vec<RefusedCommit> {
        let retried = commits.len();
        let sessions = by_session(commits);
        if tries >= TRIES_MAX {
            return sessions.into_iter().flatten().filter_map(PendingCommit::fail_conflict).collect();
        }
        metrics.retried(retried);
        let (least, most) = CONFLICT_PAUSE_US;
        let is_one = sessions.len() == 1;
        for commits in sessions {
            let pause = if is_one { jitter::between_us(least, most) } else { Duration::ZERO };
            self.push(now + pause, tries + 1, commits);
        }
        Vec::new()
    }

    /// What to do at `now`.
    pub(super) fn next(&mut self, now: Moment) -> NextAttempt {
        let earliest = self.0.iter().enumerate().min_by_key(|(_, retry)| (!retry.is_in_doubt(), retry.due));
        match earliest.map(|(index, retry)| (index, retry.due, retry.is_in_doubt())) {
            Some((index, due, _)) if due <= now => NextAttempt::Now(self.0.swap_remove(index)),
            Some((_, due, true)) => NextAttempt::DoubtUntil(due),
            Some((_, due, false)) => NextAttempt::RetryAt(due),
            None => NextAttempt::Idle,
        }
    }

    /// Adds a commit to the retries of its session; returns it if there are none.
    pub(super) fn join(&mut self, pending: PendingCommit) -> Option<PendingCommit> {
        match self.0.iter_mut().find(|retry| retry.is_alone_with(&pending)) {
            Some(retry) => {
                retry.commits.push(pending);
                None
            }
            None => Some(pending),
        }
    }
}

impl Retry {
    /// Whether a commit of it is in doubt, and must be looked up first.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.commits.iter().any(|pending| pending.in_doubt.is_some())
    }

    fn is_alone_with(&self, pending: &PendingCommit) -> bool {
        self.tries > 0 && self.commits.first().is_some_and(|first| first.commit.id == pending.commit.id)
    }
}

/// The commits of each session together, in their order.
fn by_session(commits: Vec<PendingCommit>) -> Vec<Vec<PendingCommit>> {
    let mut sessions: Vec<Vec<PendingCommit>> = Vec::new();
    for pending in commits {
        match sessions.iter_mut().find(|others| others[0].commit.id == pending.commit.id) {
            Some(others) => others.push(pending),
            None => sessions.push(vec![pending]),
        }
    }
    sessions
}
