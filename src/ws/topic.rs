//! A session that is watched, and its clients in batches: the fan-out sends to one batch at a time, so that other tasks wait for
//! no more than that. Does not know what is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::engine::{StateTag, Timestamp};
use crate::store::Countdown;
use crate::supervision::{Supervisor, panic_point};

use super::outbox::Outbox;

/// Clients in a batch at most.
const BATCH_LEN_MAX: usize = 16;
/// The name of sending among the counted panics.
const SENDING: &str = "fan-out";

/// A session and the clients that watch it.
#[derive(Default)]
pub(super) struct Topic {
    batches: Vec<Arc<ClientBatch>>,
    /// The newest state that was published.
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
    /// A task is about to send what the outboxes were given.
    is_due: AtomicBool,
}

impl Topic {
    /// When the next warning is due.
    pub(super) fn next_warning(&self) -> Option<Timestamp> {
        self.countdown.warnings.first().map(|warning| warning.at)
    }

    /// Whether no client watches.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Gives every outbox something, in the order of the calls; tasks of their own send it, since the caller holds locks and has
    /// an answer to give. What is given while a task is about to send goes along.
    pub(super) fn publish(&self, supervisor: &Supervisor, give: impl Fn(&Outbox)) {
        for batch in &self.batches {
            batch.members.lock().iter().for_each(|outbox| give(outbox));
        }
        for batch in &self.batches {
            if !batch.is_due.swap(true, Ordering::SeqCst) {
                let (batch, guard) = (Arc::clone(batch), supervisor.clone());
                supervisor.spawn(SENDING, async move { batch.send(&guard) });
            }
        }
    }

    pub(super) fn join(&mut self, outbox: Arc<Outbox>) {
        let has_room = |batch: &&Arc<ClientBatch>| batch.members.lock().len() < BATCH_LEN_MAX;
        let batch = match self.batches.iter().find(has_room) {
            Some(batch) => batch,
            None => self.batches.push_mut(Arc::default()),
        };
        Arc::make_mut(&mut batch.members.lock()).push(outbox);
    }

    pub(super) fn leave(&mut self, outbox: &Arc<Outbox>) {
        let is_it = |other: &Arc<Outbox>| Arc::ptr_eq(other, outbox);
        let place = self.batches.iter().position(|batch| batch.members.lock().iter().any(is_it));
        let Some(place) = place else { return };
        let is_empty = {
            let mut members = self.batches[place].members.lock();
            let members = Arc::make_mut(&mut members);
            members.retain(|other| !is_it(other));
            members.is_empty()
        };
        if is_empty {
            self.batches.swap_remove(place);
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
