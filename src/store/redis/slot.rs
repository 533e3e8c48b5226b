//! One session of a group: what is stored of it, the commands that are judged on it one after the other, and
//! what commits the outcome. Does not know the rest of the group.

use std::sync::Arc;

use redis::Pipeline;

use crate::clock::Moment;
use crate::engine::{Entry, Millis, Refusal, SessionId, StateTag, Timestamp, Uuid};
use crate::redis::{Keyspace, Partition};
use crate::store::{Current, Decision, Record, Verdict, Write};
use crate::wire::{self, Kept, Mark};

use super::Shared;
use super::audit::{Jobs, Room};
use super::authority::Reading;
use super::job::{Attempt, Job};

/// Changes of one session in a group at most. A state remembers its last events only, and of a change whose
/// outcome was not heard it must still be seen that it was made, or what it was based on.
const CHANGES_MAX: usize = wire::EVENTS_MAX - 2;

/// A session of the group.
pub(super) struct Slot {
    pub(super) id: SessionId,
    pub(super) key: String,
    pub(super) partition: Partition,
    /// What may still be audited.
    pub(super) room: Room,
    mark: Mark,
    pub(super) record: Option<Arc<Record>>,
    pub(super) buried: Option<StateTag>,
    unreadable: bool,
    /// The state as it was loaded.
    pub(super) loaded: Option<Arc<Record>>,
    /// The events that the loaded state remembers.
    pub(super) events: Vec<Uuid>,
    /// What the deadlines' index says, as far as is known.
    indexed: Option<Timestamp>,
    /// How often this group changes it.
    changes: usize,
    /// A change whose outcome was not known has turned out to be made.
    pub(super) resolved: bool,
    messages: Vec<(String, Vec<u8>)>,
    /// What is to be audited.
    jobs: Vec<Vec<u8>>,
    /// A deadline was found without a session.
    pub(super) orphan: bool,
}

/// What a command comes to.
pub(super) enum Answer {
    /// It was judged.
    Judged { record: Option<Arc<Record>>, verdict: Verdict, writes: bool },
    /// Its limit is reached.
    Limited,
    /// Too much waits to be audited already.
    NoRoom(&'static str),
    /// What is stored cannot be read.
    Unreadable,
    /// It may have been carried out before, too long ago to tell.
    Unknown,
}

/// What can be done with a command now.
pub(super) enum Judged {
    Answer(Answer),
    /// It must wait for others that arrived before a deadline.
    Wait,
    /// The session has changed often enough in this group.
    Surplus,
}

impl Slot {
    pub(super) fn new(id: SessionId, keyspace: &Keyspace) -> Self {
        Self {
            id,
            key: keyspace.session(id),
            partition: keyspace.partition(id),
            room: Room::default(),
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
            jobs: Vec::new(),
            orphan: false,
        }
    }

    /// What is stored.
    pub(super) fn take_in(&mut self, value: Option<bytes::Bytes>) {
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

    /// What the present state is called, or the deletion.
    pub(super) fn tag(&self) -> Option<StateTag> {
        self.record.as_ref().map(|record| record.session().tag()).or(self.buried)
    }

    /// When the clock that ran as it was loaded flags.
    pub(super) fn loaded_deadline(&self) -> Option<Timestamp> {
        self.loaded.as_ref().and_then(|record| record.session().deadline())
    }

    pub(super) fn is_changed(&self) -> bool {
        self.changes > 0
    }

    /// Whether all that happened after an event, or ever, is remembered.
    fn remembers_since(&self, base: Option<Uuid>) -> bool {
        self.events.len() < wire::EVENTS_MAX || base.is_some_and(|base| self.events.contains(&base))
    }

    pub(super) fn judge(&mut self, shared: &Shared, run_id: &str, job: &mut Job, reading: &Reading) -> Judged {
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
        if let Some(why) = self.refused_for_room(&write, job.commit.arrival.is_some()) {
            // What was sent before may still be carried out.
            let answer = if job.attempt.is_some() { Answer::Unknown } else { Answer::NoRoom(why) };
            return Judged::Answer(answer);
        }
        let writes = !matches!(write, Write::Nothing);
        let before = self.tag();
        match write {
            Write::Nothing => {
                let settles = job.commit.arrival.is_none();
                self.orphan |= settles && self.record.is_none() && verdict == Err(Refusal::NotFound);
            }
            Write::Put { record, notices, entry } => {
                self.audit(shared, job.event, &record, record.session().tag(), &entry);
                self.put(shared, record, &notices, now);
            }
            Write::Delete { tag, notice, last, entry } => {
                self.audit(shared, job.event, &last, tag, &entry);
                self.record = None;
                self.buried = Some(tag);
                self.publish(shared, tag, &notice, now);
                let update = wire::publish_deleted(self.id, now);
                self.messages.push((shared.keyspace.updates_channel(), update));
            }
        }
        if writes {
            self.begin_epoch(before);
            self.changes += 1;
            self.mark.events.push(job.event);
            let surplus = self.mark.events.len().saturating_sub(wire::EVENTS_MAX);
            self.mark.events.drain(..surplus);
        }
        Judged::Answer(Answer::Judged { record: self.record.clone(), verdict, writes })
    }

    /// Takes down on which state its epoch began, if it began just now.
    fn begin_epoch(&mut self, before: Option<StateTag>) {
        let Some(now) = self.tag() else { return };
        match before {
            Some(before) if before.epoch == now.epoch => {}
            Some(before) => self.mark.base = before,
            None => self.mark.base = StateTag { epoch: 0, version: now.version.saturating_sub(1) },
        }
    }

    /// Why a change cannot be audited and so cannot be made. What time does is nobody's wish, and a deletion makes
    /// room in the end.
    fn refused_for_room(&self, write: &Write, is_asked_for: bool) -> Option<&'static str> {
        let is_put = matches!(write, Write::Put { .. }) && is_asked_for;
        match self.room {
            Room::None if is_put => Some("too many changes wait to be audited"),
            Room::Scarce if is_put && self.record.is_none() => {
                Some("too many changes wait to be audited: no new sessions")
            }
            Room::Ample | Room::Scarce | Room::None => None,
        }
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

    fn audit(&mut self, shared: &Shared, event: Uuid, record: &Record, tag: StateTag, entry: &Entry) {
        if shared.audit.is_some() {
            self.jobs.push(wire::job(event, self.id, tag, entry, &record.encoded().members()));
        }
    }

    fn publish(&mut self, shared: &Shared, tag: StateTag, message: &[u8], now: Timestamp) {
        self.messages.push((shared.keyspace.session_channel(self.id), wire::publish(tag, self.id, message, now)));
    }

    /// Adds what commits the session to a transaction.
    pub(super) fn commit(
        &mut self,
        shared: &Shared,
        run_id: &str,
        reading: &Reading,
        transaction: &mut Pipeline,
        jobs: &mut Jobs,
    ) {
        let deadlines = shared.keyspace.deadlines(self.partition);
        let name = self.id.to_string();
        if !self.is_changed() {
            transaction.cmd("ZREM").arg(deadlines).arg(name);
            return;
        }
        for (channel, message) in &self.messages {
            transaction.cmd(shared.keyspace.publish()).arg(channel).arg(message.as_slice());
        }
        if let Some(newest) = self.tag() {
            jobs.add(self.partition, self.id, newest, std::mem::take(&mut self.jobs));
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
