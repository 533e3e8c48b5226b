//! A group of commands that are committed together: what must be loaded for it, what is decided, and the
//! transaction that commits it. Does not know connections.

use std::sync::Arc;

use crate::engine::SessionId;
use crate::redis::{Partition, Pipeline, QueueKey, RedisError, is_addable, not_addable};
use crate::store::{Committed, RateLimit, RateLimitStatus, StoreError};

use super::Shared;
use super::audit;
use super::burial::{self, Buried};
use super::job::{Attempt, Job};
use super::limits::{self, Counted};
use super::line::Asked;
use super::recent::Recent;
use super::refused::{self, Refused};
use super::replies;
use super::slot::{Answer, Ending, Judged, Slot};
use super::time::{Raw, Reading};

/// What a change of a session of two takes in a transaction, about.
const CHANGE_LEN: usize = 6_144;

/// Commands and the sessions that they are about.
pub(super) struct Group<'s> {
    shared: &'s Shared,
    run_id: Arc<str>,
    jobs: Vec<Pending>,
    slots: Vec<Slot>,
    /// The slots' partitions, when changes are audited.
    partitions: Vec<Partition>,
    /// Where in the transaction commands begin that belong to a partition.
    places: Vec<(usize, Partition)>,
    /// Partitions of which the transaction was executed in part.
    broken: Vec<Partition>,
}

/// A command and what it comes to.
struct Pending {
    job: Job,
    slot: usize,
    /// Its sender was refused too often.
    is_suspect: bool,
    answer: Option<Answer>,
}

/// What limits are still to be told of a group.
#[derive(Default)]
pub(super) struct Unsettled {
    /// Commands that were refused: whoever asked is not told yet.
    pub(super) refused: Vec<Refused>,
    /// What was carried out and is not counted.
    pub(super) carried_out: Vec<(SessionId, RateLimit)>,
}

/// What a group wants to have done.
pub(super) struct Decided {
    /// The transaction; `None` when nothing changes.
    pub(super) transaction: Option<Pipeline>,
    /// Commands that must wait for others that arrived before a deadline.
    pub(super) deferred: Vec<Job>,
    /// Commands for the next group.
    pub(super) surplus: Vec<Job>,
}

impl<'s> Group<'s> {
    /// Commands in order of arrival; what nobody asked for comes last.
    pub(super) fn new(shared: &'s Shared, run_id: Arc<str>, mut jobs: Vec<Job>) -> Self {
        jobs.sort_by_key(|job| {
            let arrival = job.commit.arrival.as_ref().map(|arrival| arrival.moment());
            (arrival.is_none(), arrival)
        });
        let mut slots: Vec<Slot> = Vec::with_capacity(jobs.len());
        let mut places = std::collections::HashMap::with_capacity(jobs.len());
        let jobs = jobs
            .into_iter()
            .map(|job| {
                let id = job.commit.id;
                let slot = *places.entry(id).or_insert_with(|| {
                    slots.push(Slot::new(id, &shared.keyspace));
                    slots.len() - 1
                });
                let is_suspect = job.commit.rate.is_some() && refused::is_suspect(shared, &job.commit);
                Pending { job, slot, is_suspect, answer: None }
            })
            .collect();
        let mut partitions = Vec::new();
        if shared.audit.is_some() {
            partitions.extend(slots.iter().map(|slot| slot.partition));
            partitions.sort_unstable();
            partitions.dedup();
        }
        Self { shared, run_id, jobs, slots, partitions, places: Vec::new(), broken: Vec::new() }
    }

    /// The commands that load the group. A limit is counted in the same round trip, and only once.
    pub(super) fn load(&self) -> Pipeline {
        let mut load = Pipeline::new();
        for (pending, rate) in self.uncounted() {
            let key = self.shared.keyspace.switch_limit(pending.job.commit.id);
            match pending.is_suspect {
                true => limits::look(&mut load, &key, rate),
                false => limits::count(&mut load, &key, rate),
            }
        }
        load.cmd("UNWATCH");
        let keys = self.slots.iter().map(|slot| &slot.key);
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

    fn uncounted(&self) -> impl Iterator<Item = (&Pending, RateLimit)> {
        let uncounted = self.jobs.iter().filter(|pending| pending.job.quota.is_none());
        uncounted.filter_map(|pending| Some((pending, pending.job.commit.rate?)))
    }

    /// Takes in the replies to [`Group::load`].
    pub(super) fn loaded(&mut self, asked: Asked, recent: &Recent) -> Result<Reading, RedisError> {
        let Asked { replies, sent, received } = asked;
        let mut replies = replies.into_iter();
        for pending in self.jobs.iter_mut().filter(|pending| pending.job.quota.is_none()) {
            let Some(rate) = pending.job.commit.rate else { continue };
            match limits::counted(&mut replies, rate) {
                Ok(Counted { mut quota, left }) => {
                    if pending.is_suspect {
                        quota.hits += 1;
                    } else {
                        pending.job.window = Some(received + left);
                    }
                    pending.job.quota = Some(quota);
                }
                // What cannot be counted lets through.
                Err(_) => pending.job.commit.rate = None,
            }
        }
        let _unwatched = replies::next(&mut replies)?;
        // Without it others' changes would be overwritten.
        replies::ok("WATCH", &replies::next(&mut replies)?)?;
        let values = replies::values(replies::next(&mut replies)?, self.slots.len() + self.partitions.len())?;
        let raw = Raw { us: replies::time_us(&replies::next(&mut replies)?)?, sent, received };
        let mut values = values.into_iter();
        for (slot, value) in self.slots.iter_mut().zip(values.by_ref()) {
            if let (Err(why), Some(value)) = (slot.take_in(value.as_ref(), recent), &value) {
                self.shared.reject(slot.id, value, &why);
            }
        }
        let bytes = values.as_slice();
        for (partition, number) in self.partitions.iter().zip(bytes) {
            if number.as_ref().is_some_and(|number| !is_addable(number)) {
                let key = self.shared.keyspace.queue(*partition, QueueKey::Bytes);
                self.shared.fault(*partition, not_addable(&key));
            }
        }
        for slot in &mut self.slots {
            slot.is_blocked = self.shared.faults.block(slot.partition);
        }
        if let Some(budget) = self.shared.audit {
            for slot in &mut self.slots {
                let place = self.partitions.iter().position(|partition| *partition == slot.partition);
                let waiting = place.and_then(|place| bytes.get(place)?.as_ref()).map_or(0, replies::decimal);
                slot.room = budget.room(waiting);
            }
        }
        Ok(self.shared.authority.read(raw))
    }

    /// Judges every command that can be judged.
    pub(super) fn decide(&mut self, reading: &Reading) -> Decided {
        let (mut deferred, mut surplus) = (Vec::new(), Vec::new());
        let mut judged = Vec::with_capacity(self.jobs.len());
        for mut pending in std::mem::take(&mut self.jobs) {
            let slot = &mut self.slots[pending.slot];
            // Those that were refused before it have given their counts back.
            let hits = pending
                .job
                .quota
                .map(|quota| RateLimitStatus { hits: quota.hits.saturating_sub(slot.refused), ..quota });
            if hits.is_some_and(|quota| quota.is_exceeded()) {
                slot.refused += u32::from(pending.job.window.is_some());
                pending.answer = Some(Answer::Limited);
                judged.push(pending);
                continue;
            }
            // Whoever withdrew it was told that it is not carried out.
            if !pending.job.claim.take() {
                continue;
            }
            let result = slot.judge(self.shared, &self.run_id, &mut pending.job, reading);
            let writes = matches!(result, Judged::Answer(Answer::Judged { writes: true, .. }));
            if matches!(result, Judged::Answer(Answer::Judged { verdict: Err(_), .. })) {
                slot.refused += u32::from(pending.job.window.is_some());
            }
            if !writes && pending.job.attempt.is_none() {
                pending.job.claim.release();
            }
            match result {
                Judged::Answer(answer) => {
                    pending.answer = Some(answer);
                    judged.push(pending);
                }
                Judged::Wait => deferred.push(pending.job),
                Judged::Surplus => surplus.push(pending.job),
            }
        }
        self.jobs = judged;
        self.slots.iter_mut().for_each(Slot::release);
        Decided { transaction: self.transaction(reading), deferred, surplus }
    }

    fn transaction(&mut self, reading: &Reading) -> Option<Pipeline> {
        if !self.slots.iter().any(Slot::is_to_be_written) {
            return None;
        }
        let mut transaction = Pipeline::with_capacity(CHANGE_LEN * self.jobs.len());
        transaction.cmd("MULTI");
        for slot in self.slots.iter_mut().filter(|slot| slot.is_to_be_written()) {
            // MULTI is none of them.
            self.places.push((transaction.len() - 1, slot.partition));
            slot.commit(self.shared, &self.run_id, reading, &mut transaction);
        }
        // None, when nothing is audited.
        for partition in &self.partitions {
            let changed = self.slots.iter().filter(|slot| slot.is_changed() && slot.partition == *partition);
            if changed.clone().next().is_some() {
                let changes = changed.map(|slot| (slot.id, &slot.changes[..]));
                self.places.push((transaction.len() - 1, *partition));
                audit::queue(changes, &self.shared.keyspace, *partition, &mut transaction);
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
    pub(super) fn endings(&self) -> impl Iterator<Item = (usize, &Slot, Ending<'_>)> {
        let endings = self.slots.iter().enumerate();
        endings.filter_map(|(place, slot)| Some((place, slot, slot.ending(self.shared)?)))
    }

    /// The commands that end them with a script, by their place.
    pub(super) fn burials(&self, script: &str, reading: &Reading) -> Vec<(usize, Pipeline)> {
        let bury = |(place, slot, ending)| (place, burial::bury(script, self.shared, slot, &ending, reading));
        self.endings().map(bury).collect()
    }

    /// Tells those whose deletion was made although the transaction was refused; and all others that it was.
    pub(super) fn refuse(self, buried: &[(usize, Buried)], reading: &Reading) {
        let now = reading.now();
        for pending in self.jobs {
            let found = buried.iter().find(|(place, _)| *place == pending.slot).map(|(_, buried)| *buried);
            let job = pending.job;
            match (pending.answer, found) {
                (Some(Answer::Judged { verdict: Ok(outcome), writes: true, .. }), Some(Buried::Yes)) => {
                    self.shared.timers.set(job.commit.id, None);
                    let verdict = Some(Ok(outcome));
                    let _ = job.reply.send(Ok(Committed { record: None, verdict, quota: job.quota, now }));
                }
                (_, Some(Buried::Unknown)) => job.fail(StoreError::UnknownOutcome),
                (_, Some(Buried::Yes | Buried::No) | None) => job.unavailable("the store refuses changes"),
            }
        }
    }

    /// Takes down what is about to be acknowledged; `false` when it must not be, because another run of the server
    /// began meanwhile.
    pub(super) fn remember(&self) -> bool {
        let states = self.slots.iter().filter(|slot| slot.is_changed() || slot.resolved);
        let states = states.filter_map(|slot| Some((slot.id, slot.tag()?, slot.record.is_none())));
        self.shared.history.remember(&self.run_id, states, self.shared.clock.moment())
    }

    /// Remembers how it leaves what it has changed.
    pub(super) fn leave(&self, recent: &mut Recent) {
        for slot in &self.slots {
            if let Some(left) = slot.left() {
                recent.put(slot.id, left);
            }
        }
    }

    /// Tells everybody what came of their command, but for what is to be settled before. Of what too few replicas have nobody
    /// knows whether it lasts.
    pub(super) fn answer(self, reading: &Reading, is_replicated: bool) -> Unsettled {
        let now = reading.now();
        for slot in &self.slots {
            let wake_at = slot.record.as_ref().and_then(|record| record.wake_at());
            self.shared.timers.set(slot.id, wake_at);
            if slot.is_changed()
                && let Some(passed) = slot.loaded_deadline().filter(|passed| *passed <= now)
            {
                self.shared.metrics.fired(passed, reading.time_us);
            }
        }
        let mut unsettled = Unsettled::default();
        for pending in self.jobs {
            let Job { commit, quota, window, reply, attempt, .. } = pending.job;
            let result = match pending.answer {
                Some(Answer::Judged { verdict: Ok(_), writes, .. })
                    if !is_replicated && (writes || attempt.is_some()) =>
                {
                    Err(StoreError::UnknownOutcome)
                }
                Some(Answer::Judged { writes: true, .. })
                    if self.broken.contains(&self.slots[pending.slot].partition) =>
                {
                    Err(StoreError::Broken)
                }
                Some(Answer::Judged { record, verdict: Err(refusal), .. }) => {
                    let committed = Committed { record, verdict: Some(Err(refusal)), quota, now };
                    unsettled.refused.extend(Refused::of(&commit, window, committed, reply));
                    continue;
                }
                Some(Answer::Judged { record, verdict, .. }) => {
                    if window.is_none() && quota.is_some() {
                        unsettled.carried_out.extend(commit.rate.map(|rate| (commit.id, rate)));
                    }
                    Ok(Committed { record, verdict: Some(verdict), quota, now })
                }
                Some(Answer::Limited) => {
                    let committed = Committed { record: None, verdict: None, quota, now };
                    unsettled.refused.extend(Refused::of(&commit, window, committed, reply));
                    continue;
                }
                Some(Answer::Fault) => Err(StoreError::Fault),
                Some(Answer::NoRoom(why)) => Err(StoreError::Unavailable(why)),
                Some(Answer::Unreadable) => Err(StoreError::Unreadable),
                Some(Answer::Newer) => Err(StoreError::Newer),
                Some(Answer::Unknown) => Err(StoreError::UnknownOutcome),
                None => Err(StoreError::Unavailable("the command was not judged")),
            };
            // Whoever does not wait any more has been told that the outcome is unknown.
            let _ = reply.send(result);
        }
        unsettled
    }

    /// The commands, as they were.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        self.jobs.into_iter().map(|pending| pending.job).collect()
    }

    /// The commands, of which none was carried out by this group: another instance was faster.
    pub(super) fn into_overtaken(self, reading: &Reading) -> Vec<Job> {
        let overtaken = |pending: Pending| {
            let mut job = pending.job;
            let loaded = self.slots[pending.slot].loaded.as_ref();
            job.seen = loaded.map(|record| (Arc::clone(record), reading.now()));
            if job.attempt.is_none() {
                job.claim.release();
            }
            job
        };
        self.jobs.into_iter().map(overtaken).collect()
    }

    /// The commands, of which some may have been carried out: they remember what they would come to.
    pub(super) fn into_attempts(self) -> Vec<Job> {
        let attempted = |pending: Pending| {
            let mut job = pending.job;
            if let Some(Answer::Judged { record, verdict, writes: true }) = pending.answer {
                let base = self.slots[pending.slot].events.last().copied();
                job.attempt = Some(Attempt { record, verdict, base });
            }
            job
        };
        self.jobs.into_iter().map(attempted).collect()
    }
}
