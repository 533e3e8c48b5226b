//! What becomes of the commands of a batch: answers to their senders, or retries of what was not committed or is in
//! doubt. Does not know how the batch was committed.

use std::sync::Arc;

use crate::store::contract::SwitchCounter;
use crate::store::redis::time::Reading;
use crate::store::{CommitOutcome, Committed, RateLimit, StoreError};

use super::commit_batch::{BatchEntry, CommitBatch};
use super::deletion_script::DeletionOutcome;
use super::judgement::CommandOutcome;
use super::pending_commit::{InDoubt, PendingCommit};
use super::refusals::RefusedCommit;
use super::state_cache::StateCache;

/// What the rate limits of a batch still have to count.
#[derive(Default)]
pub(super) struct Unsettled {
    /// Refused commands, whose senders are not answered yet.
    pub(in crate::store::redis) refused: Vec<RefusedCommit>,
    /// What was carried out and is not counted.
    pub(super) carried_out: Vec<(SwitchCounter, RateLimit)>,
}

impl CommitBatch<'_> {
    /// Takes down what is about to be acknowledged; `false` when it must not be, because another run of the server
    /// began meanwhile.
    pub(in crate::store::redis) fn remember(&self) -> bool {
        let states = self.sessions.iter().filter(|session| session.is_changed() || session.resolved);
        let states = states.filter_map(|session| Some((session.id, session.tag()?, session.record.is_none())));
        self.context.inputs.loss_detector.remember(&self.run_id, states, self.context.inputs.server_clock.moment())
    }

    /// Remembers how it leaves what it has changed.
    pub(super) fn leave(&self, cache: &mut StateCache) {
        for session in &self.sessions {
            if let Some(left) = session.left() {
                cache.put(session.id, left);
            }
        }
    }

    /// Answers the senders of deletions that were made although the transaction was refused, and refuses all others.
    pub(in crate::store::redis) fn refuse(self, buried: &[(usize, DeletionOutcome)], reading: &Reading) {
        let now = reading.now();
        for entry in self.entries {
            let found = buried.iter().find(|(place, _)| *place == entry.session).map(|(_, buried)| *buried);
            let pending = entry.pending;
            match (entry.answer, found) {
                (
                    Some(CommandOutcome::Judged { verdict: Ok(outcome), writes: true, .. }),
                    Some(DeletionOutcome::Yes),
                ) => {
                    self.context.inputs.timers.set(pending.commit.id, None);
                    let (verdict, quota) = (Ok(outcome), pending.quota);
                    let committed =
                        Committed { record: None, is_tombstoned: true, verdict, is_replayed: false, quota, now };
                    let _ = pending.reply.send(Ok(CommitOutcome::Decided(committed)));
                }
                (_, Some(DeletionOutcome::Unknown)) => pending.fail(StoreError::UnknownOutcome),
                (_, Some(DeletionOutcome::Yes | DeletionOutcome::No) | None) => {
                    pending.unavailable("the store refuses changes")
                }
            }
        }
    }

    /// Answers every sender, but for what is to be settled before. While too few replicas have a change nobody
    /// knows whether it lasts.
    pub(in crate::store::redis) fn answer(self, reading: &Reading, is_replicated: bool) -> Unsettled {
        let now = reading.now();
        for session in &self.sessions {
            let wake_at = session.record.as_ref().and_then(|record| record.wake_at());
            self.context.inputs.timers.set(session.id, wake_at);
            if session.is_changed()
                && let Some(passed) = session.loaded_deadline().filter(|passed| *passed <= now)
            {
                self.context.metrics.fired(passed, reading.time_us);
            }
        }
        let mut unsettled = Unsettled::default();
        for entry in self.entries {
            let PendingCommit { commit, quota, window, reply, in_doubt, .. } = entry.pending;
            let result = match entry.answer {
                Some(CommandOutcome::Judged { verdict: Ok(_), writes, is_replayed, .. })
                    if !is_replicated && (writes || is_replayed || in_doubt.is_some()) =>
                {
                    Err(StoreError::UnknownOutcome)
                }
                Some(CommandOutcome::Judged { writes: true, .. })
                    if self.broken.contains(&self.sessions[entry.session].partition) =>
                {
                    Err(StoreError::Broken)
                }
                Some(CommandOutcome::Judged {
                    record, is_tombstoned, verdict: verdict @ Err(_), is_replayed, ..
                }) => {
                    let committed = Committed { record, is_tombstoned, verdict, is_replayed, quota, now };
                    let outcome = CommitOutcome::Decided(committed);
                    unsettled.refused.extend(RefusedCommit::of(&commit, window, outcome, reply));
                    continue;
                }
                Some(CommandOutcome::Judged { record, is_tombstoned, verdict, is_replayed, .. }) => {
                    if window.is_none() && quota.is_some() {
                        unsettled.carried_out.extend(commit.rate.map(|rate| (commit.counter(), rate)));
                    }
                    let committed = Committed { record, is_tombstoned, verdict, is_replayed, quota, now };
                    Ok(CommitOutcome::Decided(committed))
                }
                Some(CommandOutcome::Limited(quota)) => {
                    let outcome = CommitOutcome::RateLimited(quota);
                    unsettled.refused.extend(RefusedCommit::of(&commit, window, outcome, reply));
                    continue;
                }
                Some(CommandOutcome::Fault) => Err(StoreError::Fault),
                Some(CommandOutcome::Backpressure(why)) => Err(StoreError::Unavailable(why)),
                Some(CommandOutcome::Unreadable) => Err(StoreError::Unreadable),
                Some(CommandOutcome::Newer) => Err(StoreError::Newer),
                Some(CommandOutcome::Unknown) => Err(StoreError::UnknownOutcome),
                None => Err(StoreError::Unavailable("the command was not judged")),
            };
            // A sender that does not wait any more was answered that the outcome is unknown.
            let _ = reply.send(result);
        }
        unsettled
    }

    /// Whether a command was found to be carried out before.
    pub(super) fn has_replays(&self) -> bool {
        let is_replay =
            |entry: &BatchEntry| matches!(entry.answer, Some(CommandOutcome::Judged { is_replayed: true, .. }));
        self.entries.iter().any(is_replay)
    }

    /// The commands, as they were.
    pub(super) fn into_commits(self) -> Vec<PendingCommit> {
        self.entries.into_iter().map(|entry| entry.pending).collect()
    }

    /// The commands, of which none was carried out by this batch: another instance was faster.
    pub(super) fn into_conflicted(self, reading: &Reading) -> Vec<PendingCommit> {
        let overtaken = |entry: BatchEntry| {
            let mut pending = entry.pending;
            let loaded = self.sessions[entry.session].loaded.as_ref();
            pending.seen = loaded.map(|record| (Arc::clone(record), reading.now()));
            if pending.in_doubt.is_none() {
                pending.cancellation.release();
            }
            pending
        };
        self.entries.into_iter().map(overtaken).collect()
    }

    /// The commands, of which some may have been carried out: they remember what they would come to.
    pub(super) fn into_in_doubt(self) -> Vec<PendingCommit> {
        let attempted = |entry: BatchEntry| {
            let mut pending = entry.pending;
            if let Some(CommandOutcome::Judged { record, verdict, writes: true, .. }) = entry.answer {
                let base = self.sessions[entry.session].events.last().copied();
                pending.in_doubt = Some(InDoubt { record, verdict, base });
            }
            pending
        };
        self.entries.into_iter().map(attempted).collect()
    }
}
