//! The transaction of a batch: judges its commands in order, and collects the Redis commands that commit what they
//! change. Does not know what was loaded, nor what senders are answered.

use crate::redis::Pipeline;
use crate::store::RateLimitStatus;
use crate::store::redis::time::Reading;

use super::audit_producer;
use super::batch_session::BatchSession;
use super::commit_batch::CommitBatch;
use super::deletion_script;
use super::judgement::{CommandOutcome, Judged};
use super::pending_commit::PendingCommit;
use super::session_write::ScriptedDeletion;

/// What a change of a session of two takes in a transaction, about.
const CHANGE_LEN: usize = 6_144;

/// What a batch wants to have done.
pub(super) struct Decided {
    /// The transaction; `None` when nothing changes.
    pub(in crate::store::redis) transaction: Option<Pipeline>,
    /// Commands that must wait for others that arrived before a deadline.
    pub(super) deferred: Vec<PendingCommit>,
    /// Commands for the next batch.
    pub(super) surplus: Vec<PendingCommit>,
}

impl CommitBatch<'_> {
    /// Judges every command that can be judged.
    pub(super) fn decide(&mut self, reading: &Reading) -> Decided {
        let (mut deferred, mut surplus) = (Vec::new(), Vec::new());
        let mut judged = Vec::with_capacity(self.entries.len());
        for mut entry in std::mem::take(&mut self.entries) {
            let session = &mut self.sessions[entry.session];
            // Those that were refused before it have given their counts back.
            let hits = entry
                .pending
                .quota
                .map(|quota| RateLimitStatus { hits: quota.hits.saturating_sub(session.refused), ..quota });
            if let (Some(hits), Some(quota)) = (hits, entry.pending.quota)
                && hits.is_exceeded()
            {
                session.refused += u32::from(entry.pending.window.is_some());
                entry.answer = Some(CommandOutcome::Limited(quota));
                judged.push(entry);
                continue;
            }
            // The sender that withdrew it was answered that it is not carried out.
            if !entry.pending.cancellation.take() {
                continue;
            }
            let result = session.judge(&self.context.inputs, &self.run_id, &mut entry.pending, reading);
            let writes = matches!(result, Judged::Outcome(CommandOutcome::Judged { writes: true, .. }));
            if matches!(result, Judged::Outcome(CommandOutcome::Judged { verdict: Err(_), .. })) {
                session.refused += u32::from(entry.pending.window.is_some());
            }
            if !writes && entry.pending.in_doubt.is_none() {
                entry.pending.cancellation.release();
            }
            match result {
                Judged::Outcome(answer) => {
                    entry.answer = Some(answer);
                    judged.push(entry);
                }
                Judged::Wait => deferred.push(entry.pending),
                Judged::Surplus => surplus.push(entry.pending),
            }
        }
        self.entries = judged;
        self.sessions.iter_mut().for_each(BatchSession::release);
        Decided { transaction: self.transaction(reading), deferred, surplus }
    }

    fn transaction(&mut self, reading: &Reading) -> Option<Pipeline> {
        if !self.sessions.iter().any(BatchSession::is_to_be_written) {
            return None;
        }
        let mut transaction = Pipeline::with_capacity(CHANGE_LEN * self.entries.len());
        transaction.cmd("MULTI");
        for session in self.sessions.iter_mut().filter(|session| session.is_to_be_written()) {
            // MULTI is none of them.
            self.places.push((transaction.len() - 1, session.partition));
            session.write(&self.context.keyspace, &self.context.records, &self.run_id, reading, &mut transaction);
        }
        // None, when nothing is audited.
        for partition in &self.partitions {
            let changed =
                self.sessions.iter().filter(|session| session.is_changed() && session.partition == *partition);
            if changed.clone().next().is_some() {
                let changes = changed.map(|session| (session.id, &session.changes[..]));
                self.places.push((transaction.len() - 1, *partition));
                audit_producer::queue(changes, &self.context.keyspace, *partition, &mut transaction);
            }
        }
        transaction.cmd("EXEC");
        self.context.replicas.wait(&mut transaction);
        Some(transaction)
    }

    /// The transaction was executed but for these commands, which is a fault of their partitions alone.
    pub(super) fn take_down(&mut self, failed: Vec<(usize, String)>) {
        for (place, why) in failed {
            let belongs = self.places.partition_point(|(first, _)| *first <= place).checked_sub(1);
            let Some((_, partition)) = belongs.and_then(|at| self.places.get(at).copied()) else { continue };
            self.broken.push(partition);
            let key = self.context.keyspace.deadlines(partition);
            self.context
                .health
                .fault(partition, format!("Redis executed a transaction in part, beside {key:?}: {why}"));
        }
    }

    /// The sessions whose only change is their end, by their place.
    pub(super) fn deletions(&self) -> impl Iterator<Item = (usize, &BatchSession, ScriptedDeletion<'_>)> {
        let deletions = self.sessions.iter().enumerate();
        deletions.filter_map(|(place, session)| Some((place, session, session.deletion(&self.context.records)?)))
    }

    /// The commands that end them with a script, by their place.
    pub(super) fn deletion_scripts(&self, script: &str, reading: &Reading) -> Vec<(usize, Pipeline)> {
        let delete_by_script = |(place, session, deletion)| {
            (place, deletion_script::delete_by_script(script, self.context, session, &deletion, reading))
        };
        self.deletions().map(delete_by_script).collect()
    }
}
