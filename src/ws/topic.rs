//! A session that is watched, and its clients in groups: who sends them something goes on with a group at a time, so that
//! whatever else there is to do waits for no more than that. Does not know what it is that they are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::engine::{StateTag, Timestamp};
use crate::store::Countdown;
use crate::supervision::{Supervisor, panic_point};

use super::outbox::Outbox;

/// Clients in a group at most.
const GROUP_LEN_MAX: usize = 16;
/// What sending is called where faults are counted.
const SENDING: &str = "fan-out";

/// A session and the clients that watch it.
#[derive(Default)]
pub(super) struct Topic {
    groups: Vec<Arc<ClientBatch>>,
    /// The newest state that was heard of.
    pub(super) newest: Option<StateTag>,
    /// Warnings that are still to be sent.
    pub(super) countdown: Countdown,
    /// When the last warning that was sent was due: a change of settings does not bring it back.
    pub(super) warned: Option<Timestamp>,
}

/// Some of a session's clients.
#[derive(Default)]
struct ClientBatch {
    members: Mutex<Arc<Vec<Arc<Outbox>>>>,
    /// Somebody is about to send what they have been given.
    is_due: AtomicBool,
}

impl Topic {
    /// When the next warning is due.
    pub(super) fn next_warning(&self) -> Option<Timestamp> {
        self.countdown.warnings.first().map(|warning| warning.at)
    }

    /// Whether nobody watches.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Gives everybody something, in the order in which it is called; it is sent by others, since whoever tells holds
    /// locks and has an answer to give. What is given while they are about to send goes along.
    pub(super) fn tell(&self, supervisor: &Supervisor, give: impl Fn(&Outbox)) {
        for group in &self.groups {
            group.members.lock().iter().for_each(|outbox| give(outbox));
        }
        for group in &self.groups {
            if !group.is_due.swap(true, Ordering::SeqCst) {
                let (group, guard) = (Arc::clone(group), supervisor.clone());
                supervisor.spawn(SENDING, async move { group.send(&guard) });
            }
        }
    }

    pub(super) fn join(&mut self, outbox: Arc<Outbox>) {
        let has_room = |group: &&Arc<ClientBatch>| group.members.lock().len() < GROUP_LEN_MAX;
        let group = match self.groups.iter().find(has_room) {
            Some(group) => group,
            None => self.groups.push_mut(Arc::default()),
        };
        Arc::make_mut(&mut group.members.lock()).push(outbox);
    }

    pub(super) fn leave(&mut self, outbox: &Arc<Outbox>) {
        let is_it = |other: &Arc<Outbox>| Arc::ptr_eq(other, outbox);
        let place = self.groups.iter().position(|group| group.members.lock().iter().any(is_it));
        let Some(place) = place else { return };
        let is_empty = {
            let mut members = self.groups[place].members.lock();
            let members = Arc::make_mut(&mut members);
            members.retain(|other| !is_it(other));
            members.is_empty()
        };
        if is_empty {
            self.groups.swap_remove(place);
        }
    }
}

impl ClientBatch {
    /// A fault with one client harms that one alone.
    fn send(&self, supervisor: &Supervisor) {
        self.is_due.store(false, Ordering::SeqCst);
        let members = Arc::clone(&self.members.lock());
        for outbox in members.iter() {
            // It is logged and counted.
            let _ = supervisor.guard(SENDING, || {
                panic_point(SENDING, "");
                outbox.send_now();
            });
        }
    }
}
