//! One session of a batch: what is stored of it, the commands that are decided on it one after the other, and the Redis
//! commands that write the outcome. Does not know the rest of the batch.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{Millis, Refusal, SessionId, StateTag, Timestamp, Uuid};
use crate::redis::{Keyspace, Partition, Pipeline};
use crate::store::contract::{ArrivedAt, CommittedAt, DecisionBasis, StoredSession};
use crate::store::redis::shard_context::ShardContext;
use crate::store::redis::time::Reading;
use crate::store::{Arrival, Decision, Mutation, RateLimitStatus, Record, Verdict};
use crate::wire::{self, EventIds, RecordBody, RecordHeader};

use super::audit_producer::Backpressure;
use super::pending_commit::{InDoubt, PendingCommit};
use super::session_change::{ChangeEffect, SessionChange};
use super::state_cache::{CachedState, StateCache};

/// Changes of one session in a batch at most. A state remembers its last events only, and of a change whose
/// outcome was not heard it must still be seen that it was made, or what it was based on.
const CHANGES_MAX: usize = wire::EVENTS_MAX - 2;

/// Why a change is not made whose keys are not what they should be.
const BLOCKED: &str = "a key in the store cannot be written to";

/// What a mark takes, about.
const HEADER_LEN: usize = 450;

/// A session of the batch.
pub(super) struct BatchSession {
    pub(in crate::store::redis) id: SessionId,
    pub(in crate::store::redis) key: String,
    pub(in crate::store::redis) partition: Partition,
    /// What may still be audited.
    pub(super) backpressure: Backpressure,
    header: RecordHeader,
    /// The same, as this batch writes it.
    written: Bytes,
    pub(in crate::store::redis) record: Option<Arc<Record>>,
    pub(super) tombstone: Option<StateTag>,
    unreadable: Option<Foreign>,
    /// What is stored is no state, and goes.
    is_discarded: bool,
    /// The state as it was loaded.
    pub(in crate::store::redis) loaded: Option<Arc<Record>>,
    /// The events that the loaded state remembers.
    pub(in crate::store::redis) events: EventIds,
    /// What the deadlines' index says, as far as is known.
    indexed: Option<Timestamp>,
    /// Counted commands of this batch that were refused.
    pub(in crate::store::redis) refused: u32,
    /// What this batch does to it.
    pub(in crate::store::redis) changes: Vec<SessionChange>,
    /// A change whose outcome was not known has turned out to be made.
    pub(super) resolved: bool,
    /// A deadline was found without a session that can be read.
    orphan: bool,
    /// The index was found to say another deadline than the session.
    is_astray: bool,
    /// A key that its changes are written to is not what it should be.
    pub(super) is_blocked: bool,
    /// What is stored, as it was loaded.
    value: Bytes,
}

/// What it takes to end a session outside of a transaction.
pub(super) struct ScriptedDeletion<'s> {
    /// What is stored, as it was loaded.
    pub(in crate::store::redis) loaded: &'s Bytes,
    pub(super) tombstone: Vec<u8>,
    /// How long that is kept.
    pub(in crate::store::redis) seconds: u64,
    pub(in crate::store::redis) change: &'s SessionChange,
}

/// What is stored that cannot be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    /// Nobody can.
    Garbage,
    /// A newer server can: it is left alone.
    Newer,
}

/// What a command comes to.
pub(super) enum CommandOutcome {
    /// It was judged.
    Judged { record: Option<Arc<Record>>, is_tombstoned: bool, verdict: Verdict, writes: bool },
    /// Judging it met a fault of ours.
    Fault,
    /// Its limit is reached.
    Limited(RateLimitStatus),
    /// Too much waits to be audited already.
    Backpressure(&'static str),
    /// What is stored cannot be read.
    Unreadable,
    /// What is stored was written by a newer server.
    Newer,
    /// It may have been carried out before, too long ago to tell.
    Unknown,
}

/// What can be done with a command now.
pub(super) enum Judged {
    CommandOutcome(CommandOutcome),
    /// It must wait for others that arrived before a deadline.
    Wait,
    /// The session has changed often enough in this batch.
    Surplus,
}

impl BatchSession {
    pub(in crate::store::redis) fn new(id: SessionId, keyspace: &Keyspace) -> Self {
        Self {
            id,
            key: keyspace.session(id),
            partition: keyspace.partition(id),
            backpressure: Backpressure::default(),
            header: RecordHeader::default(),
            written: Bytes::new(),
            record: None,
            tombstone: None,
            unreadable: None,
            is_discarded: false,
            loaded: None,
            events: EventIds::default(),
            indexed: None,
            refused: 0,
            changes: Vec::new(),
            resolved: false,
            orphan: false,
            is_astray: false,
            is_blocked: false,
            value: Bytes::new(),
        }
    }

    /// Takes in what is stored. What this committer left there itself is not read again; `Err` says why it cannot be
    /// read.
    pub(super) fn take_in(&mut self, value: Option<&Bytes>, cache: &StateCache) -> Result<(), String> {
        let Some(value) = value else { return Ok(()) };
        self.value = value.clone();
        if let Some(CachedState { header, record, .. }) = cache.get(self.id, value) {
            self.take(header.clone(), Some(Arc::clone(record)));
            return Ok(());
        }
        if wire::is_newer(value) {
            self.unreadable = Some(Foreign::Newer);
            return Ok(());
        }
        let read = read(self.id, value).inspect_err(|_| self.unreadable = Some(Foreign::Garbage));
        let Stored { header, record, tombstone, is_indexed } = read?;
        self.take(header, record);
        self.tombstone = tombstone;
        self.indexed = self.indexed.filter(|_| is_indexed);
        Ok(())
    }

    fn take(&mut self, header: RecordHeader, record: Option<Arc<Record>>) {
        self.indexed = record.as_ref().and_then(|record| record.wake_at());
        self.events = header.events;
        self.header = header;
        self.loaded.clone_from(&record);
        self.record = record;
    }

    /// How this batch leaves it, when it is committed; `None` of what is gone.
    pub(in crate::store::redis) fn left(&self) -> Option<CachedState> {
        let record = self.record.as_ref().filter(|_| self.is_changed())?;
        Some(CachedState { header: self.header.clone(), written: self.written.clone(), record: Arc::clone(record) })
    }

    /// What the present state is called, or the deletion.
    pub(in crate::store::redis) fn tag(&self) -> Option<StateTag> {
        self.record.as_ref().map(|record| record.session().tag()).or(self.tombstone)
    }

    /// When the clock that ran as it was loaded flags.
    pub(super) fn loaded_deadline(&self) -> Option<Timestamp> {
        self.loaded.as_ref().and_then(|record| record.deadline())
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether a transaction has to do with it.
    pub(super) fn is_to_be_written(&self) -> bool {
        self.is_changed() || ((self.orphan || self.is_astray || self.is_discarded) && !self.is_blocked)
    }

    /// Lets the loaded bytes go, unless an end compares them: they are a part of what the connection reads into next.
    pub(super) fn release(&mut self) {
        if self.tombstone.is_none() {
            self.value = Bytes::new();
        }
    }

    /// What ends it outside of a transaction, if its end is all that happens to it.
    pub(in crate::store::redis) fn deletion(&self, shared: &ShardContext) -> Option<ScriptedDeletion<'_>> {
        let ([change], Some(tag)) = (&self.changes[..], self.tombstone) else { return None };
        let mut tombstone = Vec::with_capacity(HEADER_LEN);
        wire::begin(shared.record_format.get(), &mut tombstone);
        wire::encode_tombstone(&mut tombstone, &self.header, tag);
        Some(ScriptedDeletion { loaded: &self.value, tombstone, seconds: seconds(shared.tombstone_ttl), change })
    }

    /// Whether all that happened after an event, or ever, is remembered.
    fn remembers_since(&self, base: Option<Uuid>) -> bool {
        self.events.len() < wire::EVENTS_MAX || base.is_some_and(|base| self.events.contains(&base))
    }

    pub(in crate::store::redis) fn judge(
        &mut self,
        shared: &ShardContext,
        run_id: &str,
        pending: &mut PendingCommit,
        reading: &Reading,
    ) -> Judged {
        match self.unreadable {
            Some(_) if pending.in_doubt.is_some() => return Judged::CommandOutcome(CommandOutcome::Unknown),
            Some(Foreign::Newer) => return Judged::CommandOutcome(CommandOutcome::Newer),
            Some(Foreign::Garbage) | None => {}
        }
        let is_unreadable = self.unreadable.is_some();
        if let Some(InDoubt { record, verdict, base }) = &pending.in_doubt {
            if self.events.contains(&pending.event) {
                self.resolved = true;
                // It was a change: without a state after it, it deleted the session.
                let (record, is_tombstoned, verdict) = (record.clone(), record.is_none(), *verdict);
                let outcome = CommandOutcome::Judged { record, is_tombstoned, verdict, writes: false };
                return Judged::CommandOutcome(outcome);
            }
            if !self.remembers_since(*base) {
                return Judged::CommandOutcome(CommandOutcome::Unknown);
            }
        }
        if self.changes.len() >= CHANGES_MAX {
            return Judged::Surplus;
        }
        let now = reading.now();
        let arrival = pending.commit.arrival.as_ref();
        let basis = self.basis(run_id, now);
        let server_us = |moment| shared.server_clock.at_us(moment, reading);
        if shared.arrivals.must_wait(self.id, arrival, basis.passed_deadline(), |_, moment| server_us(moment)) {
            return Judged::Wait;
        }
        let arrived = arrival.map(Arrival::moment).map(|moment| ArrivedAt { moment, server_us: server_us(moment) });
        let current = basis.context(arrived, || self.committed_at(shared));
        let Ok(Decision { write, verdict }) = pending.commit.judge(current, &shared.metrics.supervisor) else {
            // What was sent before may still be carried out.
            let answer = if pending.in_doubt.is_some() { CommandOutcome::Unknown } else { CommandOutcome::Fault };
            return Judged::CommandOutcome(answer);
        };
        let blocked = (self.is_blocked && !matches!(write, Mutation::Nothing)).then_some(BLOCKED);
        if let Some(why) = blocked.or_else(|| self.refused_for_backpressure(&write, pending.commit.arrival.is_some())) {
            // What was sent before may still be carried out.
            let answer =
                if pending.in_doubt.is_some() { CommandOutcome::Unknown } else { CommandOutcome::Backpressure(why) };
            return Judged::CommandOutcome(answer);
        }
        let before = self.tag();
        let event = pending.event;
        let change = match write {
            Mutation::Nothing if is_unreadable => {
                // Nobody can fire its deadline: whoever looks for those that are overdue must not find it again.
                self.orphan |= pending.commit.arrival.is_none();
                return Judged::CommandOutcome(CommandOutcome::Unreadable);
            }
            Mutation::Discard => {
                (self.is_discarded, self.unreadable) = (true, None);
                None
            }
            Mutation::Nothing => {
                let settles = pending.commit.arrival.is_none();
                self.orphan |= settles && self.record.is_none() && verdict == Err(Refusal::NotFound);
                // Whoever found it overdue found what is not so.
                self.is_astray |= settles && self.record.is_some() && shared.timers.is_suspect(self.id);
                None
            }
            Mutation::Put { record, notices, entry } => {
                (self.record, self.tombstone) = (Some(Arc::clone(&record)), None);
                let tag = record.session().tag();
                Some(SessionChange { event, tag, record, effect: ChangeEffect::State(notices), entry })
            }
            Mutation::Delete { tag, notice, last, entry } => {
                (self.record, self.tombstone) = (None, Some(tag));
                Some(SessionChange { event, tag, record: last, effect: ChangeEffect::End(notice), entry })
            }
        };
        let writes = change.is_some();
        if let Some(change) = change {
            self.unreadable = None;
            self.begin_epoch(before);
            self.header.events.push(event);
            self.changes.push(change);
        }
        let (record, is_tombstoned) = (self.record.clone(), self.tombstone.is_some());
        Judged::CommandOutcome(CommandOutcome::Judged { record, is_tombstoned, verdict, writes })
    }

    /// Takes down on which state its epoch began, if it began just now.
    fn begin_epoch(&mut self, before: Option<StateTag>) {
        let Some(now) = self.tag() else { return };
        match before {
            Some(before) if before.epoch == now.epoch => {}
            Some(before) => self.header.base = before,
            None => self.header.base = StateTag { epoch: 0, version: now.version.saturating_sub(1) },
        }
    }

    /// Why a change cannot be audited and so cannot be made. What time does is nobody's wish, and a deletion makes
    /// room in the end.
    fn refused_for_backpressure(&self, write: &Mutation, is_asked_for: bool) -> Option<&'static str> {
        let is_put = matches!(write, Mutation::Put { .. }) && is_asked_for;
        match self.backpressure {
            Backpressure::None if is_put => Some("too many changes wait to be audited"),
            Backpressure::Scarce if is_put && self.record.is_none() => {
                Some("too many changes wait to be audited: no new sessions")
            }
            Backpressure::Ample | Backpressure::Scarce | Backpressure::None => None,
        }
    }

    /// When the state was committed. Of its own commits this instance knows when they were acknowledged; of others, when
    /// they were committed at the latest.
    fn committed_at(&self, shared: &ShardContext) -> Option<CommittedAt> {
        if self.is_changed() {
            return Some(CommittedAt::ThisBatch);
        }
        let tag = self.record.as_ref()?.session().tag();
        match shared.loss_detector.acknowledged_at(self.id, tag) {
            Some(acknowledged) => Some(CommittedAt::Moment(acknowledged)),
            None => Some(CommittedAt::ServerUs(self.header.changed_us)),
        }
    }

    /// The session as the next decision finds it. Another run of the server may have lost states.
    fn basis(&self, run_id: &str, now: Timestamp) -> DecisionBasis<'_> {
        let (stored, may_be_behind) = match (&self.record, self.tombstone, self.unreadable) {
            (Some(record), _, _) => {
                (StoredSession::State(record), !self.is_changed() && *self.header.run_id != *run_id)
            }
            (None, Some(tag), _) => (StoredSession::Tombstone(tag), false),
            (None, None, Some(_)) => (StoredSession::Unreadable, false),
            (None, None, None) => (StoredSession::Absent, false),
        };
        DecisionBasis { stored, may_be_behind, now }
    }

    /// Adds what commits the session to a transaction, but for what is audited.
    pub(in crate::store::redis) fn commit(
        &mut self,
        shared: &ShardContext,
        run_id: &Arc<str>,
        reading: &Reading,
        transaction: &mut Pipeline,
    ) {
        let (deadlines, name) = (shared.keyspace.deadlines(self.partition), self.id.0.text());
        let wake_at = self.record.as_ref().and_then(|record| record.wake_at());
        if !self.is_changed() {
            if self.is_discarded {
                transaction.cmd("DEL").arg(&self.key);
            }
            match wake_at {
                Some(at) => transaction.cmd("ZADD").arg(deadlines).arg(at.as_ms()).arg(name.as_slice()),
                None => transaction.cmd("ZREM").arg(deadlines).arg(name.as_slice()),
            };
            return;
        }
        let now = reading.now();
        for change in &self.changes {
            change.publish(self.id, &shared.keyspace, now, transaction);
        }
        self.header.deadline = self.record.as_ref().and_then(|record| record.deadline());
        self.header.changed_us = reading.committed_us();
        self.header.run_id = Arc::clone(run_id);
        let lifetime =
            self.record.as_ref().map_or(shared.tombstone_ttl, |record| record.lifetime(&shared.lifetimes, now));
        let command = transaction.cmd("SETEX").arg(&self.key).arg(seconds(lifetime));
        match &self.record {
            Some(record) => {
                let members = record.encoded().members();
                command.arg_with(members.len() + HEADER_LEN, |out| {
                    let start = out.len();
                    wire::begin(shared.record_format.get(), out);
                    wire::encode_header(out, &self.header);
                    self.written = Bytes::copy_from_slice(&out[start..]);
                    out.extend_from_slice(&members);
                });
            }
            None => {
                let tag = self.tombstone.unwrap_or(StateTag { epoch: 0, version: 0 });
                command.arg_with(HEADER_LEN, |out| {
                    wire::begin(shared.record_format.get(), out);
                    wire::encode_tombstone(out, &self.header, tag);
                });
            }
        }
        match (self.indexed, wake_at) {
            (old, new) if old == new => {}
            (_, Some(wake_at)) => {
                transaction.cmd("ZADD").arg(deadlines).arg(wake_at.as_ms()).arg(name.as_slice());
            }
            (_, None) => {
                transaction.cmd("ZREM").arg(deadlines).arg(name.as_slice());
            }
        }
    }
}

/// What is stored of a session.
struct Stored {
    header: RecordHeader,
    record: Option<Arc<Record>>,
    /// What its deletion is called.
    tombstone: Option<StateTag>,
    /// Its deadline is in the index, if it has one.
    is_indexed: bool,
}

/// Reads it; anybody may have written it.
fn read(id: SessionId, value: &Bytes) -> Result<Stored, String> {
    let foreign = |wire::NotARecord| "it does not begin with the member of the store's own".to_owned();
    let stored = value;
    let value = &wire::modern(stored.clone());
    // Nobody has put the deadline of a state of version 1 into the index.
    let is_indexed = stored.first() == Some(&2) || stored.as_ptr() == value.as_ptr();
    let (header, (_, kept)) = (wire::read_header(value).map_err(foreign)?, wire::peek(value).map_err(foreign)?);
    match kept {
        RecordBody::State(tag, _) => {
            let session = wire::decode_sound(value).map_err(|error| error.to_string())?;
            if session.id != id || session.tag() != tag {
                return Err("it is the state of another session, or has two names".to_owned());
            }
            Ok(Stored { header, record: Some(Arc::new(Record::read(session))), tombstone: None, is_indexed })
        }
        RecordBody::Tombstone(tag) => Ok(Stored { header, record: None, tombstone: Some(tag), is_indexed }),
    }
}

/// For how many seconds Redis is told to keep what is kept for so long.
pub(in crate::store::redis) fn seconds(lifetime: Millis) -> u64 {
    lifetime.as_ms().div_ceil(1_000)
}
