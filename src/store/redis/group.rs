//! A group of commands that are committed together: what must be loaded for it, what is decided, and the
//! transaction that commits it. Does not know connections.

use std::sync::Arc;

use redis::{Pipeline, Value};

use crate::engine::{Millis, Refusal, SessionId, StateTag, Timestamp};
use crate::redis::LinkError;
use crate::store::{Committed, Current, Decision, Rate, Record, StoreError, Verdict, Write};
use crate::wire::{self, Kept, Mark};

use super::Shared;
use super::authority::Reading;
use super::committer::Job;
use super::{limits, replies};

/// Commands and the sessions that they are about.
pub(super) struct Group<'s> {
    shared: &'s Shared,
    run_id: Arc<str>,
    jobs: Vec<Pending>,
    slots: Vec<Slot>,
}

/// A command and what it comes to.
struct Pending {
    job: Job,
    slot: usize,
    answer: Option<Answer>,
}

enum Answer {
    /// It was judged.
    Judged { record: Option<Arc<Record>>, verdict: Verdict, writes: bool },
    /// Its limit is reached.
    Limited,
    /// What is stored cannot be read.
    Unreadable,
}

/// A session of the group.
struct Slot {
    id: SessionId,
    key: String,
    mark: Mark,
    record: Option<Arc<Record>>,
    buried: Option<StateTag>,
    unreadable: bool,
    /// What the deadlines' index says, as far as is known.
    indexed: Option<Timestamp>,
    /// Something in this group changed it.
    changed: bool,
    messages: Vec<(String, Vec<u8>)>,
    /// A deadline was found without a session.
    orphan: bool,
}

/// What a group wants to have done.
pub(super) struct Decided {
    /// The transaction; `None` when nothing changes.
    pub(super) transaction: Option<Pipeline>,
    /// Commands that must wait for others that arrived before a deadline.
    pub(super) deferred: Vec<Job>,
}

impl<'s> Group<'s> {
    /// Commands in order of arrival; what nobody asked for comes last.
    pub(super) fn new(shared: &'s Shared, run_id: &Arc<str>, mut jobs: Vec<Job>) -> Self {
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
                    slots.push(Slot::new(id, shared.keyspace.session(id)));
                    slots.len() - 1
                });
                Pending { job, slot, answer: None }
            })
            .collect();
        Self { shared, run_id: Arc::clone(run_id), jobs, slots }
    }

    /// The commands that load the group. A limit is counted in the same round trip, and only once.
    pub(super) fn load(&self) -> Pipeline {
        let mut load = redis::pipe();
        for (rate, id) in self.uncounted() {
            limits::count(&mut load, &self.shared.keyspace.switch_limit(id), rate);
        }
        load.cmd("UNWATCH");
        let keys: Vec<_> = self.slots.iter().map(|slot| slot.key.as_str()).collect();
        load.cmd("WATCH").arg(&keys);
        load.cmd("MGET").arg(&keys);
        load.cmd("TIME");
        load
    }

    fn uncounted(&self) -> impl Iterator<Item = (Rate, SessionId)> {
        let rates = self.jobs.iter().filter(|pending| pending.job.quota.is_none());
        rates.filter_map(|pending| Some((pending.job.commit.rate?, pending.job.commit.id)))
    }

    /// Takes in the replies to [`Group::load`], which was sent at `sent`.
    pub(super) fn loaded(&mut self, replies: Vec<Value>, sent: crate::clock::Moment) -> Result<Reading, LinkError> {
        let received = self.shared.clock.moment();
        let mut replies = replies.into_iter();
        for pending in self.jobs.iter_mut().filter(|pending| pending.job.quota.is_none()) {
            let Some(rate) = pending.job.commit.rate else { continue };
            let quota = limits::counted(&mut replies, rate)?;
            pending.job.quota = Some(quota);
            if quota.is_exceeded() {
                pending.answer = Some(Answer::Limited);
            }
        }
        let _unwatched = replies::next(&mut replies)?;
        let _watching = replies::next(&mut replies)?;
        let values = replies::values(replies::next(&mut replies)?)?;
        let reading = Reading { time_us: replies::time_us(&replies::next(&mut replies)?)?, sent, received };
        for (slot, value) in self.slots.iter_mut().zip(values) {
            slot.take_in(value);
        }
        self.shared.authority.learn(&reading);
        Ok(reading)
    }

    /// Judges every command that can be judged.
    pub(super) fn decide(&mut self, reading: &Reading) -> Decided {
        let mut deferred = Vec::new();
        let mut judged = Vec::with_capacity(self.jobs.len());
        for mut pending in std::mem::take(&mut self.jobs) {
            let slot = &mut self.slots[pending.slot];
            if pending.answer.is_none() {
                match slot.judge(self.shared, &self.run_id, &mut pending.job, reading) {
                    Some(answer) => pending.answer = Some(answer),
                    None => {
                        deferred.push(pending.job);
                        continue;
                    }
                }
            }
            judged.push(pending);
        }
        self.jobs = judged;
        Decided { transaction: self.transaction(reading), deferred }
    }

    fn transaction(&mut self, reading: &Reading) -> Option<Pipeline> {
        if !self.slots.iter().any(|slot| slot.changed || slot.orphan) {
            return None;
        }
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI");
        for slot in self.slots.iter_mut().filter(|slot| slot.changed || slot.orphan) {
            slot.commit(self.shared, &self.run_id, reading, &mut transaction);
        }
        transaction.cmd("EXEC");
        Some(transaction)
    }

    /// Tells everybody what came of their command.
    pub(super) fn answer(self, reading: &Reading) {
        let now = reading.now();
        for slot in &self.slots {
            let deadline = slot.record.as_ref().and_then(|record| record.session().deadline());
            self.shared.timers.set(slot.id, deadline);
        }
        for pending in self.jobs {
            let Job { quota, reply, .. } = pending.job;
            let result = match pending.answer {
                Some(Answer::Judged { record, verdict, .. }) => {
                    Ok(Committed { record, verdict: Some(verdict), quota, now })
                }
                Some(Answer::Limited) => Ok(Committed { record: None, verdict: None, quota, now }),
                Some(Answer::Unreadable) => Err(StoreError::Unreadable),
                None => Err(StoreError::Unavailable("the command was not judged")),
            };
            // Whoever does not wait any more has been told that the outcome is unknown.
            let _ = reply.send(result);
        }
    }

    /// The commands, as they were.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        self.jobs.into_iter().map(|pending| pending.job).collect()
    }

    /// The commands, of which some may have been carried out: they remember what they would come to.
    pub(super) fn into_attempts(self) -> Vec<Job> {
        let attempted = |pending: Pending| {
            let mut job = pending.job;
            if let Some(Answer::Judged { record, verdict, writes: true }) = pending.answer {
                job.attempt = Some((record, verdict));
            }
            job
        };
        self.jobs.into_iter().map(attempted).collect()
    }
}

impl Slot {
    fn new(id: SessionId, key: String) -> Self {
        Self {
            id,
            key,
            mark: Mark::default(),
            record: None,
            buried: None,
            unreadable: false,
            indexed: None,
            changed: false,
            messages: Vec::new(),
            orphan: false,
        }
    }

    /// What is stored.
    fn take_in(&mut self, value: Option<bytes::Bytes>) {
        let Some(value) = value else { return };
        let read = || {
            let mark = wire::mark(&value).ok()?;
            let (_, kept) = wire::glance(&value).ok()?;
            let session = match kept {
                Kept::State(..) => Some(wire::decode(&value).ok()?),
                Kept::Tombstone(_) => None,
            };
            Some((mark, kept, session))
        };
        match read() {
            Some((mark, kept, session)) => {
                self.indexed = mark.deadline;
                self.mark = mark;
                self.record = session.map(|session| Arc::new(Record::read(session)));
                self.buried = match kept {
                    Kept::State(..) => None,
                    Kept::Tombstone(tag) => Some(tag),
                };
            }
            None => self.unreadable = true,
        }
    }

    /// `None` when the command must wait.
    fn judge(&mut self, shared: &Shared, run_id: &str, job: &mut Job, reading: &Reading) -> Option<Answer> {
        if self.unreadable {
            return Some(Answer::Unreadable);
        }
        if self.mark.events.contains(&job.event)
            && let Some((record, verdict)) = job.attempt.take()
        {
            return Some(Answer::Judged { record, verdict, writes: false });
        }
        let now = reading.now();
        let arrival = job.commit.arrival.as_ref();
        if let Some(deadline) = self.record.as_ref().and_then(|record| record.session().deadline())
            && deadline <= now
        {
            let deadline_us = deadline.as_ms() * 1_000;
            let in_time = |_, moment| shared.authority.at_us(moment, reading) < deadline_us;
            if shared.arrivals.any_in_time(self.id, arrival, in_time) {
                return None;
            }
        }
        let arrived_us = arrival.map_or(reading.time_us, |arrival| shared.authority.at_us(arrival.moment(), reading));
        let last_change = self.record.as_ref().map_or(Timestamp::default(), |record| record.session().updated_at);
        let Decision { write, verdict } = (job.commit.decide)(Current {
            record: self.record.as_ref(),
            epoch: self.epoch(run_id, now),
            at: Timestamp::from_ms(arrived_us / 1_000).max(last_change),
            now,
            changed_since_arrival: arrival.is_some() && (self.changed || self.mark.changed_us > arrived_us),
        });
        let writes = !matches!(write, Write::Nothing);
        match write {
            Write::Nothing => {
                let settles = job.commit.arrival.is_none();
                self.orphan |= settles && self.record.is_none() && verdict == Err(Refusal::NotFound);
            }
            Write::Put { record, notices } => self.put(shared, record, &notices, now),
            Write::Delete { tag, notice } => {
                self.record = None;
                self.buried = Some(tag);
                self.publish(shared, tag, &notice, now);
                let update = wire::publish_deleted(self.id, now);
                self.messages.push((shared.keyspace.updates_channel(), update));
            }
        }
        if writes {
            self.changed = true;
            self.mark.events.push(job.event);
            let surplus = self.mark.events.len().saturating_sub(wire::EVENTS_MAX);
            self.mark.events.drain(..surplus);
        }
        Some(Answer::Judged { record: self.record.clone(), verdict, writes })
    }

    /// The epoch of the next state. Another run of the server may have forgotten states, so that their
    /// versions would be given out again.
    fn epoch(&self, run_id: &str, now: Timestamp) -> u64 {
        match (&self.record, self.buried) {
            (Some(record), _) if self.changed || *self.mark.run_id == *run_id => record.session().epoch,
            (Some(record), _) => now.as_ms().max(record.session().epoch + 1),
            (None, Some(tag)) => tag.epoch + 1,
            (None, None) => 0,
        }
    }

    fn put(&mut self, shared: &Shared, record: Arc<Record>, notices: &[bytes::Bytes], now: Timestamp) {
        let tag = record.session().tag();
        self.publish(shared, tag, &record.encoded().frame(), now);
        for notice in notices {
            self.publish(shared, tag, notice, now);
        }
        let update = wire::publish_update(self.id, &record.encoded().members(), now);
        self.messages.push((shared.keyspace.updates_channel(), update));
        self.record = Some(record);
        self.buried = None;
    }

    fn publish(&mut self, shared: &Shared, tag: StateTag, message: &[u8], now: Timestamp) {
        self.messages.push((shared.keyspace.session_channel(self.id), wire::publish(tag, self.id, message, now)));
    }

    /// Adds what commits the session to a transaction.
    fn commit(&mut self, shared: &Shared, run_id: &str, reading: &Reading, transaction: &mut Pipeline) {
        let deadlines = shared.keyspace.deadlines(shared.keyspace.partition(self.id));
        let name = self.id.to_string();
        if !self.changed {
            transaction.cmd("ZREM").arg(deadlines).arg(name);
            return;
        }
        for (channel, message) in &self.messages {
            transaction.cmd("PUBLISH").arg(channel).arg(message.as_slice());
        }
        let deadline = self.record.as_ref().and_then(|record| record.session().deadline());
        self.mark.deadline = deadline;
        self.mark.changed_us = reading.committed_us();
        run_id.clone_into(&mut self.mark.run_id);
        let (value, lifetime) = match (&self.record, self.buried) {
            (Some(record), _) => (wire::keep(&self.mark, &record.encoded().members()), record.lifetime(reading.now())),
            (None, tag) => {
                (wire::bury(&self.mark, tag.unwrap_or(StateTag { epoch: 0, version: 0 })), shared.tombstone_ttl)
            }
        };
        transaction.cmd("SETEX").arg(&self.key).arg(seconds(lifetime)).arg(value);
        match (self.indexed, deadline) {
            (old, new) if old == new => {}
            (_, Some(deadline)) => {
                transaction.cmd("ZADD").arg(deadlines).arg(deadline.as_ms()).arg(name);
            }
            (_, None) => {
                transaction.cmd("ZREM").arg(deadlines).arg(name);
            }
        }
    }
}

fn seconds(lifetime: Millis) -> u64 {
    lifetime.as_ms().div_ceil(1_000)
}
