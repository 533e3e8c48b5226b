//! A shard of the sessions with all that is known of them: states, deadlines, lifetimes, tombstones, subscriptions. Does not
//! know when it is locked, nor who receives updates.

use std::collections::{BTreeSet, VecDeque};

use crate::clock::Moment;
use crate::engine::{Millis, SessionId, StateTag, Timestamp};
use crate::hashing::HashMap;
use crate::store::stored_state::StoredState;
use crate::wire::EventIds;

/// When to look again at a session that must be settled before it goes.
const SETTLING_TIME: Millis = Millis::new(60_000);

/// Sessions that change under one lock.
#[derive(Default)]
pub(super) struct SessionShard {
    pub(super) entries: HashMap<SessionId, SessionEntry>,
    pub(super) subscribed: HashMap<SessionId, usize>,
    pub(super) deadlines: BTreeSet<(Timestamp, SessionId)>,
    pub(super) expiries: BTreeSet<(Timestamp, SessionId)>,
    /// Deleted sessions, oldest first; some may have been created again.
    pub(super) tombstones: VecDeque<(StateTag, SessionId)>,
}

pub(super) struct SessionEntry {
    pub(super) state: StoredState,
    /// Its latest events that have keys.
    pub(super) keyed: Option<Box<EventIds>>,
    /// How many bytes it takes.
    pub(super) size: usize,
    /// When it was committed, to be compared with arrivals.
    pub(super) committed: Moment,
    pub(super) expires: Timestamp,
    /// When it is to be settled although no command arrives; its key in the shard's deadlines.
    pub(super) due: Option<Timestamp>,
    /// It is overdue, but postponed until then.
    pub(super) is_postponed: bool,
    /// It was restored by a start, and newer states may have been seen that were not acknowledged.
    pub(super) is_restored: bool,
    /// The number of its change in the journal; zero when it is durable or nothing is.
    pub(super) number: u64,
}

impl SessionEntry {
    /// Whether it has outlived its lifetime. Its clock goes first: a session whose deadline has passed stays until it is
    /// settled.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now && self.state.deadline().is_none_or(|deadline| deadline > now)
    }
}

impl SessionShard {
    /// Stores an entry; returns the one before.
    pub(super) fn insert(&mut self, id: SessionId, entry: SessionEntry) -> Option<SessionEntry> {
        let (due, expires) = (entry.due, entry.expires);
        let old = self.entries.insert(id, entry);
        let (old_due, old_expires) = (old.as_ref().and_then(|old| old.due), old.as_ref().map(|old| old.expires));
        reindex(&mut self.expiries, id, old_expires, Some(expires));
        reindex(&mut self.deadlines, id, old_due, due);
        old
    }

    /// Postpones a session that is due at `now`, or was postponed before, until `at`.
    pub(super) fn postpone(&mut self, id: SessionId, now: Timestamp, at: Timestamp) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(due) = entry.due.filter(|due| *due <= now || entry.is_postponed) {
            reindex(&mut self.deadlines, id, Some(due), Some(at));
            (entry.due, entry.is_postponed) = (Some(at), true);
        }
    }

    /// The state of a session that has not outlived its lifetime.
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

    /// Drops the oldest tombstones beyond `most` and calls `each`; returns their bytes. An epoch before now cannot come back
    /// in a process whose time does not run backwards.
    pub(super) fn forget(&mut self, most: usize, now: Timestamp, mut each: impl FnMut(SessionId)) -> usize {
        let mut bytes = 0;
        while self.tombstones.len() > most
            && let Some((tag, id)) = self.tombstones.pop_front_if(|(tag, _)| tag.epoch < now.as_ms())
        {
            if self.is_tombstoned(tag, id)
                && let Some(entry) = self.entries.remove(&id)
            {
                reindex(&mut self.expiries, id, Some(entry.expires), None);
                bytes += entry.size;
                each(id);
            }
        }
        bytes
    }

    /// Whether the tombstone `tag` is still stored.
    fn is_tombstoned(&self, tag: StateTag, id: SessionId) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| matches!(entry.state, StoredState::Tombstone(present) if present == tag))
    }

    /// Removes what has outlived its lifetime, tombstones included, and calls `each`. A session that must be settled first is due now.
    pub(super) fn remove_expired(&mut self, now: Timestamp, mut each: impl FnMut(SessionId, &SessionEntry)) {
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
                each(id, &entry);
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
