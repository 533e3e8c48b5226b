//! The deadlines that this instance knows of: of the sessions that it changed last, and of those that a
//! sweep found overdue. Does not know how they are fired.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::{SessionId, Timestamp};
use crate::hashing::{HashMap, HashSet};

/// Deadlines that are kept at most; what is beyond is found by the sweep.
const TIMERS_MAX: usize = 200_000;

/// Deadlines by session and by time.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Timers {
    known: Mutex<KnownDeadlines>,
    /// The earliest deadline may have moved.
    pub(in crate::store::redis) moved: Notify,
}

#[derive(Debug, Default)]
struct KnownDeadlines {
    deadlines: HashMap<SessionId, Timestamp>,
    order: BTreeSet<(Timestamp, SessionId)>,
    /// Those that are to be left alone until then.
    postponed: HashSet<SessionId>,
    /// Sessions that a sweep found, and that were not settled since.
    suspects: HashSet<SessionId>,
}

impl Timers {
    /// What is known of a session's deadline now.
    pub(in crate::store::redis) fn set(&self, id: SessionId, deadline: Option<Timestamp>) {
        let mut known = self.known.lock();
        known.postponed.remove(&id);
        if !known.suspects.is_empty() {
            known.suspects.remove(&id);
        }
        let old = match deadline {
            Some(deadline) if known.deadlines.len() < TIMERS_MAX || known.deadlines.contains_key(&id) => {
                known.deadlines.insert(id, deadline)
            }
            Some(_) | None => known.deadlines.remove(&id),
        };
        if old == deadline {
            return;
        }
        if let Some(old) = old {
            known.order.remove(&(old, id));
        }
        if let Some(deadline) = deadline.filter(|_| known.deadlines.contains_key(&id)) {
            known.order.insert((deadline, id));
            if known.order.first() == Some(&(deadline, id)) {
                self.moved.notify_one();
            }
        }
    }

    /// A session that is overdue for longer than its own instance would take.
    pub(in crate::store::redis) fn found(&self, id: SessionId, deadline: Timestamp) {
        // What is known may be what another instance has changed since.
        let known = self.known.lock();
        let is_known =
            known.postponed.contains(&id) || known.deadlines.get(&id).is_some_and(|known| *known <= deadline);
        drop(known);
        if !is_known {
            self.set(id, Some(deadline));
            let mut known = self.known.lock();
            if known.deadlines.contains_key(&id) {
                known.suspects.insert(id);
            }
        }
    }

    /// A session that is due at `now`, or was left alone before, is left alone until `at`, unless something else gets
    /// known of it.
    pub(in crate::store::redis) fn postpone(&self, id: SessionId, now: Timestamp, at: Timestamp) {
        let mut known = self.known.lock();
        match known.deadlines.get(&id).copied() {
            Some(deadline) if deadline > now && !known.postponed.contains(&id) => return,
            Some(deadline) => {
                known.order.remove(&(deadline, id));
            }
            // What cannot be read has no deadline that is known, and yet a sweep would find it.
            None if known.deadlines.len() >= TIMERS_MAX => return,
            None => {}
        }
        known.postponed.insert(id);
        known.deadlines.insert(id, at);
        known.order.insert((at, id));
    }

    /// Whether a session was found overdue, and was not settled since.
    pub(in crate::store::redis) fn is_suspect(&self, id: SessionId) -> bool {
        let known = self.known.lock();
        !known.suspects.is_empty() && known.suspects.contains(&id)
    }

    /// How many there are.
    pub(in crate::store::redis) fn len(&self) -> usize {
        self.known.lock().deadlines.len()
    }

    /// The earliest deadline.
    pub(in crate::store::redis) fn earliest(&self) -> Option<Timestamp> {
        self.known.lock().order.first().map(|(deadline, _)| *deadline)
    }

    /// Sessions whose deadline has passed, `most` of them at most.
    pub(in crate::store::redis) fn due(&self, now: Timestamp, most: usize) -> Vec<SessionId> {
        let known = self.known.lock();
        known.order.iter().take_while(|(deadline, _)| *deadline <= now).map(|(_, id)| *id).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{TIMERS_MAX, Timers};
    use crate::engine::{SessionId, Timestamp, Uuid};

    fn id(n: usize) -> SessionId {
        SessionId(Uuid::from_bits(n as u128))
    }

    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn a_known_deadline_moves_although_there_is_no_room_for_more() {
        let (timers, at) = (Timers::default(), Timestamp::from_ms);
        for n in 0..TIMERS_MAX {
            timers.set(id(n), Some(at(1_000)));
        }
        timers.set(id(0), Some(at(10)));
        timers.set(id(TIMERS_MAX), Some(at(5)));
        assert_eq!((timers.earliest(), timers.len()), (Some(at(10)), TIMERS_MAX));
        timers.set(id(0), None);
        timers.set(id(TIMERS_MAX), Some(at(5)));
        assert_eq!((timers.earliest(), timers.len()), (Some(at(5)), TIMERS_MAX), "there is room again");
    }
}
