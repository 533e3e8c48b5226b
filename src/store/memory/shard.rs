//! A part of the sessions with all that is known of them: states, deadlines, lifetimes, tombstones, who is subscribed. Does
//! not know when it is locked, nor who is told of what.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::clock::Moment;
use crate::engine::{Millis, SessionId, StateTag, Timestamp};
use crate::store::stored_state::StoredState;

/// When to look again at a session that must be settled before it goes.
const SETTLING_TIME: Millis = Millis::new(60_000);

/// Everything about a session lives in its shard and changes under one lock.
#[derive(Default)]
pub(super) struct SessionShard {
    pub(super) entries: HashMap<SessionId, SessionEntry>,
    pub(super) subscribed: HashMap<SessionId, usize>,
    pub(super) deadlines: BTreeSet<(Timestamp, SessionId)>,
    pub(super) expiries: BTreeSet<(Timestamp, SessionId)>,
    /// Deleted sessions, oldest first; some may have come back.
    pub(super) tombstones: VecDeque<(StateTag, SessionId)>,
}

pub(super) struct SessionEntry {
    pub(super) state: StoredState,
    /// How many bytes it takes.
    pub(super) size: usize,
    /// When it was committed, to be compared with arrivals.
    pub(super) committed: Moment,
    pub(super) expires: Timestamp,
    /// When it is to be settled although nobody asks; its place in the shard's deadlines.
    pub(super) due: Option<Timestamp>,
    /// It would be due sooner, but is left alone until then.
    pub(super) is_postponed: bool,
    /// It was read back by a start, and newer states may have been seen that were not acknowledged.
    pub(super) is_restored: bool,
    /// Its place in the journal; zero when it is not written anywhere or known to be.
    pub(super) number: u64,
}

impl SessionEntry {
    /// Whether it has outlived its lifetime. What its clock does comes first: a session whose deadline has passed is there until it
    /// is settled.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now && self.state.deadline().is_none_or(|deadline| deadline > now)
    }
}

impl SessionShard {
    /// Takes in what is kept of a session now; returns what was kept before.
    pub(super) fn insert(&mut self, id: SessionId, entry: SessionEntry) -> Option<SessionEntry> {
        let (due, expires) = (entry.due, entry.expires);
        let old = self.entries.insert(id, entry);
        let (old_due, old_expires) = (old.as_ref().and_then(|old| old.due), old.as_ref().map(|old| old.expires));
        reindex(&mut self.expiries, id, old_expires, Some(expires));
        reindex(&mut self.deadlines, id, old_due, due);
        old
    }

    /// Leaves a session that is due at `now`, or was left alone before, alone until `at`.
    pub(super) fn postpone(&mut self, id: SessionId, now: Timestamp, at: Timestamp) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(due) = entry.due.filter(|due| *due <= now || entry.is_postponed) {
            reindex(&mut self.deadlines, id, Some(due), Some(at));
            (entry.due, entry.is_postponed) = (Some(at), true);
        }
    }

    /// What is kept of a session and has not outlived its lifetime.
    pub(super) fn live_state(&self, id: SessionId, now: Timestamp) -> Option<&StoredState> {
        self.entries.get(&id).filter(|entry| !entry.is_over(now)).map(|entry| &entry.state)
    }

    pub(super) fn unsubscribe(&mut self, id: SessionId) {
        if let Some(subscriptions) = self.subscribed.get_mut(&id) {
            *subscriptions -= 1;
            if *subscriptions == 0 {
                self.subscribed.remove(&id);
            }
        }
    }

    /// Drops the oldest tombstones beyond `most`. An epoch that lies before now cannot come back in a process
    /// whose time does not run backwards. Tells of each; returns how many bytes went.
    pub(super) fn forget(&mut self, most: usize, now: Timestamp, mut tell: impl FnMut(SessionId)) -> usize {
        let mut bytes = 0;
        while self.tombstones.len() > most
            && let Some((tag, id)) = self.tombstones.pop_front_if(|(tag, _)| tag.epoch < now.as_ms())
        {
            if self.is_tombstoned(tag, id)
                && let Some(entry) = self.entries.remove(&id)
            {
                reindex(&mut self.expiries, id, Some(entry.expires), None);
                bytes += entry.size;
                tell(id);
            }
        }
        bytes
    }

    /// Whether the tombstone `tag` still stands.
    fn is_tombstoned(&self, tag: StateTag, id: SessionId) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| matches!(entry.state, StoredState::Tombstone(present) if present == tag))
    }

    /// Takes away what has outlived its lifetime, tombstones included, and tells of each. What must be settled before is due now.
    pub(super) fn remove_expired(&mut self, now: Timestamp, mut tell: impl FnMut(SessionId, &SessionEntry)) {
        while let Some(&(expires, id)) = self.expiries.first().filter(|(expires, _)| *expires <= now) {
            self.expiries.remove(&(expires, id));
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if !entry.is_over(now) {
                entry.expires = now + SETTLING_TIME;
                self.expiries.insert((entry.expires, id));
                if entry.due.is_none() {
                    entry.due = Some(now);
                    self.deadlines.insert((now, id));
                }
            } else if let Some(entry) = self.entries.remove(&id) {
                reindex(&mut self.deadlines, id, entry.due, None);
                tell(id, &entry);
            }
        }
        while let Some(&(tag, id)) = self.tombstones.front()
            && !self.is_tombstoned(tag, id)
        {
            self.tombstones.pop_front();
        }
    }
}

fn reindex(
    index: &mut BTreeSet<(Timestamp, SessionId)>,
    id: SessionId,
    old: Option<Timestamp>,
    new: Option<Timestamp>,
) {
    if old != new {
        if let Some(old) = old {
            index.remove(&(old, id));
        }
        if let Some(new) = new {
            index.insert((new, id));
        }
    }
}
