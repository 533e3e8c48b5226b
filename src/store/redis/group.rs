//! A group of commands that are committed together: what must be loaded for it, what is decided, and the
//! transaction that commits it. Does not know connections.

use std::sync::Arc;

use redis::{Pipeline, Value};

use crate::clock::Moment;
use crate::engine::{Millis, Refusal, SessionId, StateTag, Timestamp, Uuid};
use crate::redis::LinkError;
use crate::store::{Committed, Current, Decision, Rate, Record, StoreError, Verdict, Write};
use crate::wire::{self, Kept, Mark};

use super::Shared;
use super::authority::Reading;
use super::job::{Attempt, Job};
use super::{limits, replies};

/// Changes of one session in a group at most. A state remembers its last events only, and of a change whose
/// outcome was not heard it must still be seen that it was made, or what it was based on.
const CHANGES_MAX: usize = wire::EVENTS_MAX - 2;

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
    /// It may have been carried out before, too long ago to tell.
    Unknown,
}

/// What can be done with a command now.
enum Judged {
    Answer(Answer),
    /// It must wait for others that arrived before a deadline.
    Wait,
    /// The session has changed often enough in this group.
    Surplus,
}

/// A session of the group.
struct Slot {
    id: SessionId,
    key: String,
    mark: Mark,
    record: Option<Arc<Record>>,
    buried: Option<StateTag>,
    unreadable: bool,
    /// The state as it was loaded.
    loaded: Option<Arc<Record>>,
    /// The events that the loaded state remembers.
    events: Vec<Uuid>,
    /// What the deadlines' index says, as far as is known.
    indexed: Option<Timestamp>,
    /// How often this group changes it.
    changes: usize,
    /// A change whose outcome was not known has turned out to be made.
    resolved: bool,
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
    /// Commands for the next group.
    pub(super) surplus: Vec<Job>,
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
    pub(super) fn loaded(&mut self, replies: Vec<Value>, sent: Moment) -> Result<Reading, LinkError> {
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
        let (mut deferred, mut surplus) = (Vec::new(), Vec::new());
        let mut judged = Vec::with_capacity(self.jobs.len());
        for mut pending in std::mem::take(&mut self.jobs) {
            if pending.answer.is_some() {
                judged.push(pending);
                continue;
            }
            // Whoever withdrew it was told that it is not carried out.
            if !pending.job.claim.take() {
                continue;
            }
            let slot = &mut self.slots[pending.slot];
            let result = slot.judge(self.shared, &self.run_id, &mut pending.job, reading);
            let writes = matches!(result, Judged::Answer(Answer::Judged { writes: true, .. }));
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
        Decided { transaction: self.transaction(reading), deferred, surplus }
    }

    fn transaction(&mut self, reading: &Reading) -> Option<Pipeline> {
        if !self.slots.iter().any(|slot| slot.is_changed() || slot.orphan) {
            return None;
        }
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI");
        for slot in self.slots.iter_mut().filter(|slot| slot.is_changed() || slot.orphan) {
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
            if (slot.is_changed() || slot.resolved)
                && let Some(tag) = slot.record.as_ref().map(|record| record.session().tag()).or(slot.buried)
            {
                self.shared.acknowledge(slot.id, tag, slot.record.is_none());
            }
        }
        for pending in self.jobs {
            let Job { quota, reply, .. } = pending.job;
            let result = match pending.answer {
                Some(Answer::Judged { record, verdict, .. }) => {
                    Ok(Committed { record, verdict: Some(verdict), quota, now })
                }
                Some(Answer::Limited) => Ok(Committed { record: None, verdict: None, quota, now }),
                Some(Answer::Unreadable) => Err(StoreError::Unreadable),
                Some(Answer::Unknown) => Err(StoreError::UnknownOutcome),
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

impl Slot {
    fn new(id: SessionId, key: String) -> Self {
        Self {
            id,
            key,
            mark: Mark::default(),
            record: None,
            buried: None,
            unreadable: false,
            loaded: None,
            events: Vec::new(),
            indexed: None,
            changes: 0,
            resolved: false,
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
                self.events.clone_from(&mark.events);
                self.mark = mark;
                self.record = session.map(|session| Arc::new(Record::read(session)));
                self.loaded.clone_from(&self.record);
                self.buried = match kept {
                    Kept::State(..) => None,
                    Kept::Tombstone(tag) => Some(tag),
                };
            }
            None => self.unreadable = true,
        }
    }

    fn is_changed(&self) -> bool {
        self.changes > 0
    }

    /// Whether all that happened after an event, or ever, is remembered.
    fn remembers_since(&self, base: Option<Uuid>) -> bool {
        self.events.len() < wire::EVENTS_MAX || base.is_some_and(|base| self.events.contains(&base))
    }

    fn judge(&mut self, shared: &Shared, run_id: &str, job: &mut Job, reading: &Reading) -> Judged {
        if self.unreadable {
            let answer = if job.attempt.is_some() { Answer::Unknown } else { Answer::Unreadable };
            return Judged::Answer(answer);
        }
        if let Some(Attempt { record, verdict, base }) = &job.attempt {
            if self.events.contains(&job.event) {
                self.resolved = true;
                let (record, verdict) = (record.clone(), *verdict);
                return Judged::Answer(Answer::Judged { record, verdict, writes: false });
            }
            if !self.remembers_since(*base) {
                return Judged::Answer(Answer::Unknown);
            }
        }
        if self.changes >= CHANGES_MAX {
            return Judged::Surplus;
        }
        let now = reading.now();
        let arrival = job.commit.arrival.as_ref();
        if let Some(deadline) = self.record.as_ref().and_then(|record| record.session().deadline())
            && deadline <= now
        {
            let deadline_us = deadline.as_ms() * 1_000;
            let in_time = |_, moment| shared.authority.at_us(moment, reading) < deadline_us;
            if shared.arrivals.any_in_time(self.id, arrival, in_time) {
                return Judged::Wait;
            }
        }
        let arrived_us = arrival.map_or(reading.time_us, |arrival| shared.authority.at_us(arrival.moment(), reading));
        let last_change = self.record.as_ref().map_or(Timestamp::default(), |record| record.session().updated_at);
        let Decision { write, verdict } = (job.commit.decide)(Current {
            record: self.record.as_ref(),
            epoch: self.epoch(run_id, now),
            at: Timestamp::from_ms(arrived_us / 1_000).max(last_change),
            now,
            changed_since_arrival: arrival
                .is_some_and(|arrival| self.changed_after(shared, arrival.moment(), arrived_us)),
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
            self.changes += 1;
            self.mark.events.push(job.event);
            let surplus = self.mark.events.len().saturating_sub(wire::EVENTS_MAX);
            self.mark.events.drain(..surplus);
        }
        Judged::Answer(Answer::Judged { record: self.record.clone(), verdict, writes })
    }

    /// Whether the state was committed after a command arrived. Of its own commits this instance knows when they
    /// were acknowledged; of others, when they were committed at the latest.
    fn changed_after(&self, shared: &Shared, arrived: Moment, arrived_us: u64) -> bool {
        if self.is_changed() {
            return true;
        }
        let Some(tag) = self.record.as_ref().map(|record| record.session().tag()) else { return false };
        match shared.history.acknowledged_at(self.id, tag) {
            Some(acknowledged) => acknowledged > arrived,
            None => self.mark.changed_us > arrived_us,
        }
    }

    /// The epoch of the next state. Another run of the server may have forgotten states, so that their
    /// versions would be given out again.
    fn epoch(&self, run_id: &str, now: Timestamp) -> u64 {
        match (&self.record, self.buried) {
            (Some(record), _) if self.is_changed() || *self.mark.run_id == *run_id => record.session().epoch,
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
        if !self.is_changed() {
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
