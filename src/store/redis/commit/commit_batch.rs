//! A batch of commands that are committed together: what must be loaded for it, what is decided, and the
//! transaction that commits it. Does not know connections.

use std::sync::Arc;

use crate::engine::SessionId;
use crate::redis::{Partition, Pipeline, QueueKey, RedisError, is_addable, not_addable};
use crate::store::redis::connection::lazy_connection::RoundTrip;
use crate::store::redis::connection::limits::{self, CountedHit};
use crate::store::redis::connection::replies;
use crate::store::redis::shard_context::ShardContext;
use crate::store::redis::time::{RawReading, Reading};
use crate::store::{CommitOutcome, Committed, RateLimit, RateLimitStatus, StoreError};

use super::audit_producer;
use super::batch_session::{BatchSession, CommandOutcome, Judged, ScriptedDeletion};
use super::deletion_script::{self, DeletionOutcome};
use super::pending_commit::{InDoubt, PendingCommit};
use super::refusals::{self, RefusedCommit};
use super::state_cache::StateCache;

/// What a change of a session of two takes in a transaction, about.
const CHANGE_LEN: usize = 6_144;

/// Commands and the sessions that they are about.
pub(super) struct CommitBatch<'s> {
    shared: &'s ShardContext,
    run_id: Arc<str>,
    entries: Vec<BatchEntry>,
    sessions: Vec<BatchSession>,
    /// The sessions' partitions, when changes are audited.
    partitions: Vec<Partition>,
    /// Where in the transaction commands begin that belong to a partition.
    places: Vec<(usize, Partition)>,
    /// Partitions of which the transaction was executed in part.
    broken: Vec<Partition>,
}

/// A command and what it comes to.
struct BatchEntry {
    pending: PendingCommit,
    session: usize,
    /// Its sender was refused too often.
    is_suspect: bool,
    answer: Option<CommandOutcome>,
}

/// What limits are still to be told of a batch.
#[derive(Default)]
pub(super) struct Unsettled {
    /// Commands that were refused: whoever asked is not told yet.
    pub(in crate::store::redis) refused: Vec<RefusedCommit>,
    /// What was carried out and is not counted.
    pub(super) carried_out: Vec<(SessionId, RateLimit)>,
}

/// What a batch wants to have done.
pub(super) struct Decided {
    /// The transaction; `None` when nothing changes.
    pub(in crate::store::redis) transaction: Option<Pipeline>,
    /// Commands that must wait for others that arrived before a deadline.
    pub(super) deferred: Vec<PendingCommit>,
    /// Commands for the next batch.
    pub(super) surplus: Vec<PendingCommit>,
}

impl<'s> CommitBatch<'s> {
    /// Commands in order of arrival; what nobody asked for comes last.
    pub(in crate::store::redis) fn new(
        shared: &'s ShardContext,
        run_id: Arc<str>,
        mut commits: Vec<PendingCommit>,
    ) -> Self {
        commits.sort_by_key(|pending| {
            let arrival = pending.commit.arrival.as_ref().map(|arrival| arrival.moment());
            (arrival.is_none(), arrival)
        });
        let mut sessions: Vec<BatchSession> = Vec::with_capacity(commits.len());
        let mut places = std::collections::HashMap::with_capacity(commits.len());
        let commits = commits
            .into_iter()
            .map(|pending| {
                let id = pending.commit.id;
                let session = *places.entry(id).or_insert_with(|| {
                    sessions.push(BatchSession::new(id, &shared.keyspace));
                    sessions.len() - 1
                });
                let is_suspect = pending.commit.rate.is_some() && refusals::is_suspect(shared, &pending.commit);
                BatchEntry { pending, session, is_suspect, answer: None }
            })
            .collect();
        let mut partitions = Vec::new();
        if shared.audit.is_some() {
            partitions.extend(sessions.iter().map(|session| session.partition));
            partitions.sort_unstable();
            partitions.dedup();
        }
        Self { shared, run_id, entries: commits, sessions, partitions, places: Vec::new(), broken: Vec::new() }
    }

    /// The commands that load the batch. A limit is counted in the same round trip, and only once.
    pub(in crate::store::redis) fn load(&self) -> Pipeline {
        let mut load = Pipeline::new();
        for (entry, rate) in self.uncounted() {
            let key = self.shared.keyspace.switch_limit(entry.pending.commit.id);
            match entry.is_suspect {
                true => limits::look(&mut load, &key, rate),
                false => limits::count(&mut load, &key, rate),
            }
        }
        load.cmd("UNWATCH");
        let keys = self.sessions.iter().map(|session| &session.key);
        load.cmd("WATCH").args(keys.clone());
        load.cmd("MGET").args(keys).args(self.bytes_keys());
        load.cmd("TIME");
        load
    }

    /// What says how much waits to be audited, of each partition that is concerned. Not watched: it changes all
    /// the time.
    fn bytes_keys(&self) -> Vec<String> {
        let keyspace = &self.shared.keyspace;
        self.partitions.iter().map(|partition| keyspace.queue(*partition, QueueKey::Bytes)).collect()
    }

    fn uncounted(&self) -> impl Iterator<Item = (&BatchEntry, RateLimit)> {
        let uncounted = self.entries.iter().filter(|entry| entry.pending.quota.is_none());
        uncounted.filter_map(|entry| Some((entry, entry.pending.commit.rate?)))
    }

    /// Takes in the replies to [`CommitBatch::load`].
    pub(in crate::store::redis) fn loaded(
        &mut self,
        asked: RoundTrip,
        cache: &StateCache,
    ) -> Result<Reading, RedisError> {
        let RoundTrip { replies, sent, received } = asked;
        let mut replies = replies.into_iter();
        for entry in self.entries.iter_mut().filter(|entry| entry.pending.quota.is_none()) {
            let Some(rate) = entry.pending.commit.rate else { continue };
            match limits::counted(&mut replies, rate) {
                Ok(CountedHit { mut quota, left }) => {
                    if entry.is_suspect {
                        quota.hits += 1;
                    } else {
                        entry.pending.window = Some(received + left);
                    }
                    entry.pending.quota = Some(quota);
                }
                // What cannot be counted lets through.
                Err(_) => entry.pending.commit.rate = None,
            }
        }
        let _unwatched = replies::next(&mut replies)?;
        // Without it others' changes would be overwritten.
        replies::ok("WATCH", &replies::next(&mut replies)?)?;
        let values = replies::values(replies::next(&mut replies)?, self.sessions.len() + self.partitions.len())?;
        let raw = RawReading { us: replies::time_us(&replies::next(&mut replies)?)?, sent, received };
        let mut values = values.into_iter();
        for (session, value) in self.sessions.iter_mut().zip(values.by_ref()) {
            if let (Err(why), Some(value)) = (session.take_in(value.as_ref(), cache), &value) {
                self.shared.reject(session.id, value, &why);
            }
        }
        let bytes = values.as_slice();
        for (partition, number) in self.partitions.iter().zip(bytes) {
            if number.as_ref().is_some_and(|number| !is_addable(number)) {
                let key = self.shared.keyspace.queue(*partition, QueueKey::Bytes);
                self.shared.fault(*partition, not_addable(&key));
            }
        }
        for session in &mut self.sessions {
            session.is_blocked = self.shared.faults.block(session.partition);
        }
        if let Some(budget) = self.shared.audit {
            for session in &mut self.sessions {
                let place = self.partitions.iter().position(|partition| *partition == session.partition);
                let waiting = place.and_then(|place| bytes.get(place)?.as_ref()).map_or(0, replies::decimal);
                session.backpressure = budget.backpressure(waiting);
            }
        }
        Ok(self.shared.server_clock.read(raw))
    }

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
            // Whoever withdrew it was told that it is not carried out.
            if !entry.pending.cancellation.take() {
                continue;
            }
            let result = session.judge(self.shared, &self.run_id, &mut entry.pending, reading);
            let writes = matches!(result, Judged::CommandOutcome(CommandOutcome::Judged { writes: true, .. }));
            if matches!(result, Judged::CommandOutcome(CommandOutcome::Judged { verdict: Err(_), .. })) {
                session.refused += u32::from(entry.pending.window.is_some());
            }
            if !writes && entry.pending.in_doubt.is_none() {
                entry.pending.cancellation.release();
            }
            match result {
                Judged::CommandOutcome(answer) => {
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
            session.commit(self.shared, &self.run_id, reading, &mut transaction);
        }
        // None, when nothing is audited.
        for partition in &self.partitions {
            let changed =
                self.sessions.iter().filter(|session| session.is_changed() && session.partition == *partition);
            if changed.clone().next().is_some() {
                let changes = changed.map(|session| (session.id, &session.changes[..]));
                self.places.push((transaction.len() - 1, *partition));
                audit_producer::queue(changes, &self.shared.keyspace, *partition, &mut transaction);
            }
        }
        transaction.cmd("EXEC");
        self.shared.replicas.wait(&mut transaction);
        Some(transaction)
    }

    /// The transaction was executed but for these commands. Whoever needs the same keys is harmed, and nobody else.
    pub(super) fn take_down(&mut self, failed: Vec<(usize, String)>) {
        for (place, why) in failed {
            let belongs = self.places.partition_point(|(first, _)| *first <= place).checked_sub(1);
            let Some((_, partition)) = belongs.and_then(|at| self.places.get(at).copied()) else { continue };
            self.broken.push(partition);
            let key = self.shared.keyspace.deadlines(partition);
            self.shared.fault(partition, format!("Redis executed a transaction in part, beside {key:?}: {why}"));
        }
    }

    /// The sessions whose only change is their end, by their place.
    pub(super) fn deletions(&self) -> impl Iterator<Item = (usize, &BatchSession, ScriptedDeletion<'_>)> {
        let deletions = self.sessions.iter().enumerate();
        deletions.filter_map(|(place, session)| Some((place, session, session.deletion(self.shared)?)))
    }

    /// The commands that end them with a script, by their place.
    pub(super) fn deletion_scripts(&self, script: &str, reading: &Reading) -> Vec<(usize, Pipeline)> {
        let delete_by_script = |(place, session, deletion)| {
            (place, deletion_script::delete_by_script(script, self.shared, session, &deletion, reading))
        };
        self.deletions().map(delete_by_script).collect()
    }

    /// Tells those whose deletion was made although the transaction was refused; and all others that it was.
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
                    self.shared.timers.set(pending.commit.id, None);
                    let (verdict, quota) = (Ok(outcome), pending.quota);
                    let committed = Committed { record: None, is_tombstoned: true, verdict, quota, now };
                    let _ = pending.reply.send(Ok(CommitOutcome::Decided(committed)));
                }
                (_, Some(DeletionOutcome::Unknown)) => pending.fail(StoreError::UnknownOutcome),
                (_, Some(DeletionOutcome::Yes | DeletionOutcome::No) | None) => {
                    pending.unavailable("the store refuses changes")
                }
            }
        }
    }

    /// Takes down what is about to be acknowledged; `false` when it must not be, because another run of the server
    /// began meanwhile.
    pub(in crate::store::redis) fn remember(&self) -> bool {
        let states = self.sessions.iter().filter(|session| session.is_changed() || session.resolved);
        let states = states.filter_map(|session| Some((session.id, session.tag()?, session.record.is_none())));
        self.shared.loss_detector.remember(&self.run_id, states, self.shared.clock.moment())
    }

    /// Remembers how it leaves what it has changed.
    pub(super) fn leave(&self, cache: &mut StateCache) {
        for session in &self.sessions {
            if let Some(left) = session.left() {
                cache.put(session.id, left);
            }
        }
    }

    /// Tells everybody what came of their command, but for what is to be settled before. Of what too few replicas have nobody
    /// knows whether it lasts.
    pub(in crate::store::redis) fn answer(self, reading: &Reading, is_replicated: bool) -> Unsettled {
        let now = reading.now();
        for session in &self.sessions {
            let wake_at = session.record.as_ref().and_then(|record| record.wake_at());
            self.shared.timers.set(session.id, wake_at);
            if session.is_changed()
                && let Some(passed) = session.loaded_deadline().filter(|passed| *passed <= now)
            {
                self.shared.metrics.fired(passed, reading.time_us);
            }
        }
        let mut unsettled = Unsettled::default();
        for entry in self.entries {
            let PendingCommit { commit, quota, window, reply, in_doubt, .. } = entry.pending;
            let result = match entry.answer {
                Some(CommandOutcome::Judged { verdict: Ok(_), writes, .. })
                    if !is_replicated && (writes || in_doubt.is_some()) =>
                {
                    Err(StoreError::UnknownOutcome)
                }
                Some(CommandOutcome::Judged { writes: true, .. })
                    if self.broken.contains(&self.sessions[entry.session].partition) =>
                {
                    Err(StoreError::Broken)
                }
                Some(CommandOutcome::Judged { record, is_tombstoned, verdict: verdict @ Err(_), .. }) => {
                    let outcome = CommitOutcome::Decided(Committed { record, is_tombstoned, verdict, quota, now });
                    unsettled.refused.extend(RefusedCommit::of(&commit, window, outcome, reply));
                    continue;
                }
                Some(CommandOutcome::Judged { record, is_tombstoned, verdict, .. }) => {
                    if window.is_none() && quota.is_some() {
                        unsettled.carried_out.extend(commit.rate.map(|rate| (commit.id, rate)));
                    }
                    Ok(CommitOutcome::Decided(Committed { record, is_tombstoned, verdict, quota, now }))
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
            // Whoever does not wait any more has been told that the outcome is unknown.
            let _ = reply.send(result);
        }
        unsettled
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
