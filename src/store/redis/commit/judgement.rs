//! The judgement of a command on a session of a batch: whether it was committed before, whether it must wait, and what
//! the decision changes. Does not know what a command is, nor how the change is written.

use std::sync::Arc;

use crate::engine::{Refusal, StateTag, Timestamp, Uuid};
use crate::store::contract::{ArrivedAt, CommittedAt, DecisionBasis, StoredSession};
use crate::store::redis::time::Reading;
use crate::store::{Arrival, Decision, DecisionContext, Mutation, RateLimitStatus, Record, Repetition, Verdict};
use crate::wire;

use super::audit_producer::Backpressure;
use super::batch_session::BatchSession;
use super::commit_context::DecisionInputs;
use super::decoded_record::Foreign;
use super::pending_commit::{InDoubt, PendingCommit};
use super::session_change::{ChangeEffect, SessionChange};

/// Changes of one session in a batch at most. A state remembers its last events only, and of a change whose
/// outcome was not heard it must still be seen that it was made, or what it was based on.
const CHANGES_MAX: usize = wire::EVENTS_MAX - 2;

/// Why a change is not made whose keys are not what they should be.
const BLOCKED: &str = "a key in the store cannot be written to";

/// What a command comes to.
pub(super) enum CommandOutcome {
    /// It was judged.
    Judged { record: Option<Arc<Record>>, is_tombstoned: bool, verdict: Verdict, is_replayed: bool, writes: bool },
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
    /// It is in doubt: the record does not remember so old an event.
    Unknown,
}

/// What can be done with a command now.
pub(super) enum Judged {
    /// It is answered.
    Outcome(CommandOutcome),
    /// It must wait for others that arrived before a deadline.
    Wait,
    /// The session has changed often enough in this batch.
    Surplus,
}

impl BatchSession {
    /// Whether all that happened after an event, or ever, is remembered.
    fn remembers_since(&self, base: Option<Uuid>) -> bool {
        let latest = self.events.latest();
        latest.len() < wire::EVENTS_MAX || base.is_some_and(|base| latest.contains(&base))
    }

    pub(super) fn judge(
        &mut self,
        inputs: &DecisionInputs,
        run_id: &str,
        pending: &mut PendingCommit,
        reading: &Reading,
    ) -> Judged {
        match self.unreadable {
            Some(_) if pending.in_doubt.is_some() => return Judged::Outcome(CommandOutcome::Unknown),
            Some(Foreign::Newer) => return Judged::Outcome(CommandOutcome::Newer),
            Some(Foreign::Garbage) | None => {}
        }
        let is_unreadable = self.unreadable.is_some();
        let repetition = pending.commit.origin.repetition(&self.header.events);
        let is_replayed = repetition == Repetition::Replay;
        self.resolved |= is_replayed;
        if let Some(InDoubt { record, verdict, base }) = &pending.in_doubt {
            let keyed = pending.commit.origin.event();
            if [Some(pending.event), keyed].into_iter().flatten().any(|event| self.events.contains(&event)) {
                self.resolved = true;
                // It was a change: without a state after it, it deleted the session.
                let (record, is_tombstoned, verdict) = (record.clone(), record.is_none(), *verdict);
                let outcome =
                    CommandOutcome::Judged { record, is_tombstoned, verdict, is_replayed: false, writes: false };
                return Judged::Outcome(outcome);
            }
            if !self.remembers_since(*base) {
                return Judged::Outcome(CommandOutcome::Unknown);
            }
        }
        if self.changes.len() >= CHANGES_MAX {
            return Judged::Surplus;
        }
        let now = reading.now();
        let arrival = pending.commit.arrival.as_ref();
        let basis = self.basis(run_id, now);
        let server_us = |moment| inputs.server_clock.at_us(moment, reading);
        if inputs.arrivals.must_wait(self.id, arrival, basis.passed_deadline(), |_, moment| server_us(moment)) {
            return Judged::Wait;
        }
        let arrived = arrival.map(Arrival::moment).map(|moment| ArrivedAt { moment, server_us: server_us(moment) });
        let current = basis.context(arrived, || self.committed_at(inputs));
        let current = DecisionContext { repetition, ..current };
        let Ok(decision) = pending.commit.judge(current, &inputs.supervisor) else {
            // What was sent before may still be carried out.
            let answer = if pending.in_doubt.is_some() { CommandOutcome::Unknown } else { CommandOutcome::Fault };
            return Judged::Outcome(answer);
        };
        let is_asked_for = decision.is_asked_for();
        let keyed = pending.commit.origin.event().filter(|_| is_asked_for);
        let actor = pending.commit.origin.actor().filter(|_| is_asked_for);
        let Decision { write, verdict } = decision;
        let blocked = (self.is_blocked && !matches!(write, Mutation::Nothing)).then_some(BLOCKED);
        if let Some(why) = blocked.or_else(|| self.refused_for_backpressure(&write, pending.commit.arrival.is_some())) {
            // What was sent before may still be carried out.
            let answer =
                if pending.in_doubt.is_some() { CommandOutcome::Unknown } else { CommandOutcome::Backpressure(why) };
            return Judged::Outcome(answer);
        }
        let before = self.tag();
        let event = keyed.unwrap_or(pending.event);
        let change = match write {
            Mutation::Nothing if is_unreadable => {
                // Its deadline cannot be fired, and must not be found overdue again.
                self.orphan |= pending.commit.arrival.is_none();
                return Judged::Outcome(CommandOutcome::Unreadable);
            }
            Mutation::Discard => {
                (self.is_discarded, self.unreadable) = (true, None);
                None
            }
            Mutation::Nothing => {
                let settles = pending.commit.arrival.is_none();
                self.orphan |= settles && self.record.is_none() && verdict == Err(Refusal::NotFound);
                // The index says another deadline than the record.
                self.is_astray |= settles && self.record.is_some() && inputs.timers.is_suspect(self.id);
                None
            }
            Mutation::Put { record, notices, entry } => {
                (self.record, self.tombstone) = (Some(Arc::clone(&record)), None);
                let tag = record.session().tag();
                Some(SessionChange { event, tag, record, effect: ChangeEffect::State(notices), entry, actor })
            }
            Mutation::Delete { tag, notice, last, entry } => {
                (self.record, self.tombstone) = (None, Some(tag));
                Some(SessionChange { event, tag, record: last, effect: ChangeEffect::End(notice), entry, actor })
            }
        };
        let writes = change.is_some();
        if let Some(change) = change {
            self.unreadable = None;
            self.begin_epoch(before);
            if let Some(remembered) = pending.commit.origin.remembered() {
                self.header.events = remembered.clone();
            }
            self.header.events.push(event);
            self.changes.push(change);
        }
        let (record, is_tombstoned) = (self.record.clone(), self.tombstone.is_some());
        Judged::Outcome(CommandOutcome::Judged { record, is_tombstoned, verdict, is_replayed, writes })
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

    /// Why back-pressure of the audit queue refuses a change. It never refuses what time does, and a deletion makes
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

    /// When the state was committed. Of its own commits this instance knows when they were acknowledged; of others,
    /// when they were committed at the latest.
    fn committed_at(&self, inputs: &DecisionInputs) -> Option<CommittedAt> {
        if self.is_changed() {
            return Some(CommittedAt::ThisBatch);
        }
        let tag = self.record.as_ref()?.session().tag();
        match inputs.loss_detector.acknowledged_at(self.id, tag) {
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
}
