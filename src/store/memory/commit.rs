//! How a decision is made and carried out: under the lock of one shard, which is all that a transaction takes here. Does
//! not know who waits for it.

use std::sync::Arc;

use crate::engine::{SessionId, Timestamp, Uuid};
use crate::store::contract::{
    ArrivedAt, Commit, CommitOutcome, Committed, CommittedAt, Decision, DecisionBasis, DecisionContext, Mutation,
    REFUSALS, RateLimitStatus, Repetition, StoreError, StoredSession, Update,
};
use crate::store::durability::{Durability, DurableChange};
use crate::store::record::Record;
use crate::store::stored_state::StoredState;
use crate::wire::EventIds;

use super::embedded::{EmbeddedStore, SHARDS};
use super::shard::{SessionEntry, SessionShard};

/// A decision that was carried out, and the ticket that its answer waits for.
pub(super) struct DecidedCommit<T> {
    pub(super) committed: Committed,
    pub(super) ticket: Option<T>,
    pub(super) is_change: bool,
}

impl<D: Durability> EmbeddedStore<D> {
    /// Waits until what an answer says, or is based on, is durable.
    pub(super) async fn await_durability(&self, ticket: Option<D::Ticket>, is_change: bool) -> Result<(), StoreError> {
        let Some(ticket) = ticket else { return Ok(()) };
        match self.durability.wait(ticket, is_change).await {
            true => Ok(()),
            false if is_change => Err(StoreError::UnknownOutcome),
            false => Err(StoreError::Unavailable("the file cannot be written")),
        }
    }

    /// Decides and commits; `None` when the decision must wait for commands in flight.
    pub(super) fn try_commit(&self, commit: &mut Commit) -> Result<Option<DecidedCommit<D::Ticket>>, StoreError> {
        let id = commit.id;
        let mut shard = self.shard(id).lock();
        let now = self.clock.now();
        let entry = shard.entries.get(&id).filter(|entry| !entry.is_over(now));
        let (stored, may_be_behind) = match entry {
            Some(entry) => (entry.state.as_stored(), entry.is_restored),
            None => (StoredSession::Absent, false),
        };
        let basis = DecisionBasis { stored, may_be_behind, now };
        let passed_deadline = basis.passed_deadline();
        let own = commit.arrival.as_ref();
        if self.arrivals.must_wait(id, own, passed_deadline, |at, _| at.as_ms() * 1_000) {
            return Ok(None);
        }
        let context =
            basis.context(own.map(ArrivedAt::by_own_clock), || entry.map(|entry| CommittedAt::Moment(entry.committed)));
        let record = context.record;
        let is_new = record.is_none();
        let keyed = entry.and_then(|entry| entry.keyed.as_deref());
        let repetition = commit.origin.repetition(keyed.map(|keyed| &**keyed).unwrap_or_default());
        let judged = commit.judge(DecisionContext { repetition, ..context }, &self.metrics.supervisor);
        // It is judged: no deadline waits for it while its answer becomes durable.
        drop(commit.arrival.take());
        let judged = judged?;
        let is_asked_for = judged.is_asked_for();
        let event = commit.origin.event().filter(|_| is_asked_for);
        let actor = commit.origin.actor().filter(|_| is_asked_for);
        let keyed = keyed.or(commit.origin.remembered()).cloned();
        let Decision { write, verdict } = judged;
        let is_change = !matches!(write, Mutation::Nothing | Mutation::Discard);
        if let Some(passed) = passed_deadline.filter(|_| is_change) {
            self.metrics.fired(passed, now.as_ms() * 1_000);
        }
        let (record, is_tombstoned, ticket) = match write {
            Mutation::Nothing | Mutation::Discard => {
                // What an answer is based on must not be lost after it.
                let ticket = self.durability.barrier(entry.map_or(0, |entry| entry.number))?;
                let is_tombstoned = entry.is_some_and(|entry| entry.state.is_tombstone());
                (record.cloned(), is_tombstoned, ticket)
            }
            Mutation::Put { record, notices, entry } => {
                let state = StoredState::Session(Arc::clone(&record));
                let size = state.size();
                if is_new {
                    self.admit(size)?;
                }
                let expires = now + record.lifetime(&self.limit.lifetimes, now);
                let entered = self.durability.enter(id, || {
                    DurableChange::put(&record, entry, expires).called(event, keyed.as_ref()).asked_by(actor)
                });
                let (number, ticket) = entered.inspect_err(|_| self.leave(usize::from(is_new)))?;
                let replaced = self.put(&mut shard, id, state, with(keyed, event), expires, number);
                self.leave(usize::from(is_new && replaced));
                if shard.subscribed.contains_key(&id) {
                    self.notify(id, &record, notices);
                }
                (Some(record), false, ticket)
            }
            Mutation::Delete { tag, notice, last, entry } => {
                let expires = now + self.limit.tombstone_ttl;
                let delete =
                    || DurableChange::delete(tag, last, entry, expires).called(event, keyed.as_ref()).asked_by(actor);
                let (number, ticket) = self.durability.enter(id, delete)?;
                let state = StoredState::Tombstone(tag);
                let replaced = self.put(&mut shard, id, state, with(keyed, event), expires, number);
                self.leave(usize::from(replaced));
                shard.tombstones.push_back((tag, id));
                let gone = shard.forget(self.limit.sessions_max.div_ceil(SHARDS), now, |id| self.durability.forget(id));
                self.bytes.remove(gone);
                if shard.subscribed.contains_key(&id) {
                    self.listener.update(id, &Update::Deleted { tag, frame: notice });
                }
                (None, true, ticket)
            }
        };
        let is_replayed = repetition == Repetition::Replay;
        let committed = Committed { record, is_tombstoned, verdict, is_replayed, quota: None, now };
        Ok(Some(DecidedCommit { committed, ticket, is_change }))
    }

    /// Stores a state; returns whether there was a session before.
    fn put(
        &self,
        shard: &mut SessionShard,
        id: SessionId,
        state: StoredState,
        keyed: Option<Box<EventIds>>,
        expires: Timestamp,
        number: u64,
    ) -> bool {
        let size = state.size() + keyed.as_deref().map_or(0, size_of_val);
        let due = state.wake_at();
        if let Some(due) = due {
            self.alarm.set(due);
        }
        let committed = self.clock.moment();
        self.bytes.add(size);
        let (is_postponed, is_restored) = (false, false);
        let old = shard.insert(
            id,
            SessionEntry { state, keyed, size, committed, expires, due, is_postponed, is_restored, number },
        );
        self.bytes.remove(old.as_ref().map_or(0, |old| old.size));
        old.is_some_and(|old| old.state.record().is_some())
    }

    fn notify(&self, id: SessionId, record: &Record, notices: Vec<bytes::Bytes>) {
        let (tag, frame) = (record.session().tag(), record.encoded().frame());
        self.listener.update(id, &Update::State { tag, frame, countdown: record.countdown() });
        for notice in notices {
            self.listener.update(id, &Update::Notice(notice));
        }
    }

    /// The outcome of a command that has a limit. A refused one counts against the client that sent it, and not against
    /// others.
    pub(super) fn counted(
        &self,
        commit: &Commit,
        committed: Committed,
        quota: RateLimitStatus,
        ends: Timestamp,
    ) -> CommitOutcome {
        if committed.verdict.is_ok() {
            return CommitOutcome::Decided(Committed { quota: Some(quota), ..committed });
        }
        self.switches.give_back(&commit.counter(), ends);
        let refused = commit.client.map(|client| self.refusals.hit((commit.id, client), REFUSALS, committed.now));
        match refused.filter(RateLimitStatus::is_exceeded) {
            Some(refused) => CommitOutcome::RateLimited(refused),
            None => CommitOutcome::Decided(Committed { quota: Some(quota.given_back()), ..committed }),
        }
    }
}

/// The events that have keys with one more, if it has one.
fn with(keyed: Option<EventIds>, event: Option<Uuid>) -> Option<Box<EventIds>> {
    let mut keyed = match (keyed, event) {
        (None, None) => return None,
        (keyed, _) => Box::new(keyed.unwrap_or_default()),
    };
    event.into_iter().for_each(|event| keyed.push(event));
    Some(keyed)
}
