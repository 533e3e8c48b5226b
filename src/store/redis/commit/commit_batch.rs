//! A batch of commands that are committed together, and what is loaded for it in one round trip. Does not know how the
//! commands are decided (`transaction.rs`) and answered (`batch_replies.rs`), nor connections.

use std::sync::Arc;

use crate::hashing::HashMap;
use crate::redis::{Partition, Pipeline, QueueKey, RedisError, is_addable, not_addable};
use crate::store::RateLimit;
use crate::store::contract::SwitchCounter;
use crate::store::redis::connection::RoundTrip;
use crate::store::redis::limits::{self, CountedHit};
use crate::store::redis::replies;
use crate::store::redis::time::{RawReading, Reading};

use super::batch_session::BatchSession;
use super::commit_context::CommitContext;
use super::judgement::CommandOutcome;
use super::pending_commit::PendingCommit;
use super::state_cache::StateCache;

/// Commands and the sessions that they are about.
pub(super) struct CommitBatch<'s> {
    pub(super) context: &'s CommitContext,
    pub(super) run_id: Arc<str>,
    pub(super) entries: Vec<BatchEntry>,
    pub(super) sessions: Vec<BatchSession>,
    /// The sessions' partitions, when changes are audited.
    pub(super) partitions: Vec<Partition>,
    /// Where in the transaction commands begin that belong to a partition.
    pub(super) places: Vec<(usize, Partition)>,
    /// Partitions of which the transaction was executed in part.
    pub(super) broken: Vec<Partition>,
}

/// A command and what it comes to.
pub(super) struct BatchEntry {
    pub(super) pending: PendingCommit,
    pub(super) session: usize,
    /// Its sender was refused too often.
    pub(super) is_suspect: bool,
    pub(super) answer: Option<CommandOutcome>,
}

impl<'s> CommitBatch<'s> {
    /// Commands in order of arrival; those without a client come last.
    pub(in crate::store::redis) fn new(
        context: &'s CommitContext,
        run_id: Arc<str>,
        mut commits: Vec<PendingCommit>,
    ) -> Self {
        commits.sort_by_key(|pending| {
            let arrival = pending.commit.arrival.as_ref().map(|arrival| arrival.moment());
            (arrival.is_none(), arrival)
        });
        let mut sessions: Vec<BatchSession> = Vec::with_capacity(commits.len());
        let mut places = HashMap::with_capacity_and_hasher(commits.len(), Default::default());
        let commits = commits
            .into_iter()
            .map(|pending| {
                let id = pending.commit.id;
                let session = *places.entry(id).or_insert_with(|| {
                    sessions.push(BatchSession::new(id, &context.keyspace));
                    sessions.len() - 1
                });
                let is_suspect = pending.commit.rate.is_some() && context.refusals.is_suspect(&pending.commit);
                BatchEntry { pending, session, is_suspect, answer: None }
            })
            .collect();
        let mut partitions = Vec::new();
        if context.audit.is_on() {
            partitions.extend(sessions.iter().map(|session| session.partition));
            partitions.sort_unstable();
            partitions.dedup();
        }
        Self { context, run_id, entries: commits, sessions, partitions, places: Vec::new(), broken: Vec::new() }
    }

    /// The commands that load the batch. A limit is counted in the same round trip, and only once.
    pub(in crate::store::redis) fn load(&self) -> Pipeline {
        let mut load = Pipeline::new();
        for (entry, rate) in self.uncounted() {
            let SwitchCounter { id, participant } = entry.pending.commit.counter();
            let key = self.context.keyspace.switch_limit(id, participant);
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
        let keyspace = &self.context.keyspace;
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
                self.context.health.reject(session.id, &session.key, value, &why);
            }
        }
        let bytes = values.as_slice();
        for (partition, number) in self.partitions.iter().zip(bytes) {
            if number.as_ref().is_some_and(|number| !is_addable(number)) {
                let key = self.context.keyspace.queue(*partition, QueueKey::Bytes);
                self.context.health.fault(*partition, not_addable(&key));
            }
        }
        for session in &mut self.sessions {
            session.is_blocked = self.context.health.faults.block(session.partition);
        }
        if self.context.audit.is_on() {
            for session in &mut self.sessions {
                let place = self.partitions.iter().position(|partition| *partition == session.partition);
                let waiting = place.and_then(|place| bytes.get(place)?.as_ref());
                session.backpressure = self.context.audit.backpressure(waiting);
            }
        }
        Ok(self.context.inputs.server_clock.read(raw))
    }
}
