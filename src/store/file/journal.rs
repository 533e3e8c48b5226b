//! The journal: a bounded queue of writes and the tickets for them. Does not know tables, nor how the queue is written.
//!
//! While the database cannot be written, nothing new is accepted. What was accepted stays queued and is tried again, so that
//! the state in memory and the file agree again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};

use crate::engine::SessionId;
use crate::runtime::time;
use crate::store::contract::StoreError;
use crate::store::durability::{DurabilityTicket, DurableChange};
use crate::store::metrics::Metrics;
use crate::wire::Revocation;

use super::tables::{ChangeKey, Fault};

/// What may wait, in bytes of states; when it is full changes are refused.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// What an entry takes beside its state.
const ENTRY_BYTES: usize = 1_024;

/// Where changes are entered.
pub(super) struct Journal {
    pub(super) queue: Mutex<JournalQueue>,
    /// The queue has changed.
    pub(super) moved: Condvar,
    /// Every entry up to this number is on the disk.
    pub(super) written: AtomicU64,
    patience: Duration,
    pub(super) metrics: Metrics,
    ended: watch::Receiver<JournalEnd>,
}

/// Whether and how the writer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalEnd {
    Running,
    /// Every entry is written.
    InOrder,
    /// An entry is not written.
    Short,
}

pub(super) struct JournalQueue {
    pub(super) entries: Vec<QueuedEntry>,
    /// Of the entries here and of those being written.
    pub(super) bytes: usize,
    /// The number of the last entry.
    pub(super) entered: u64,
    /// Why nothing can be written now.
    pub(super) fault: Option<Fault>,
    pub(super) is_closed: bool,
}

pub(super) struct QueuedEntry {
    pub(super) entry: JournalEntry,
    pub(super) bytes: usize,
    /// Honours the ticket.
    pub(super) waiter: oneshot::Sender<()>,
}

pub(super) enum JournalEntry {
    Change(SessionId, Box<DurableChange>),
    Forget(SessionId),
    Erase(SessionId),
    Remove(Vec<ChangeKey>),
    /// What is revoked, and what is not any more.
    Revoke(Vec<Revocation>, Vec<Revocation>),
    /// Only waits for the entries before it.
    Barrier,
}

impl Journal {
    /// An empty journal; `ended` says how its writer ends.
    pub(super) fn new(patience: Duration, metrics: Metrics, ended: watch::Receiver<JournalEnd>) -> Self {
        let queue = JournalQueue { entries: Vec::new(), bytes: 0, entered: 0, fault: None, is_closed: false };
        Self {
            queue: Mutex::new(queue),
            moved: Condvar::new(),
            written: AtomicU64::new(0),
            // Less than a request may take, so that its client is answered with what is known.
            patience: patience * 9 / 10,
            metrics,
            ended,
        }
    }

    /// Enters a change, in the order of the session's changes; returns its number and a ticket. After an error nothing is
    /// entered.
    pub(super) fn enter(&self, id: SessionId, change: DurableChange) -> Result<(u64, DurabilityTicket), StoreError> {
        let bytes = ENTRY_BYTES + change.record.encoded().body().len();
        self.push(JournalEntry::Change(id, Box::new(change)), bytes)
    }

    /// A ticket for all that is entered by now; `None` when the entry of this number is on the disk.
    pub(super) fn barrier(&self, number: u64) -> Result<Option<DurabilityTicket>, StoreError> {
        if number <= self.written.load(Ordering::Acquire) {
            return Ok(None);
        }
        self.push(JournalEntry::Barrier, ENTRY_BYTES).map(|(_, ticket)| Some(ticket))
    }

    /// Enters that a session is removed. When this fails the next start removes it.
    pub(super) fn forget(&self, id: SessionId) {
        let _ = self.push(JournalEntry::Forget(id), ENTRY_BYTES);
    }

    /// Enters that all changes of a session that were written so far are removed; returns a ticket.
    pub(super) fn erase(&self, id: SessionId) -> Result<DurabilityTicket, StoreError> {
        self.push(JournalEntry::Erase(id), ENTRY_BYTES).map(|(_, ticket)| ticket)
    }

    /// Enters that changes are removed; returns a ticket.
    pub(super) fn remove(&self, keys: Vec<ChangeKey>) -> Result<DurabilityTicket, StoreError> {
        let bytes = ENTRY_BYTES + keys.len() * size_of::<ChangeKey>();
        self.push(JournalEntry::Remove(keys), bytes).map(|(_, ticket)| ticket)
    }

    /// Enters what is revoked, and what is not any more; returns a ticket.
    pub(super) fn revoke(
        &self,
        revoked: Vec<Revocation>,
        over: Vec<Revocation>,
    ) -> Result<DurabilityTicket, StoreError> {
        let bytes = ENTRY_BYTES * (1 + revoked.len() + over.len());
        self.push(JournalEntry::Revoke(revoked, over), bytes).map(|(_, ticket)| ticket)
    }

    /// Waits for a ticket, as long as an answer may take; returns whether it was honoured. It may yet be.
    pub(super) async fn wait(&self, ticket: DurabilityTicket, is_change: bool) -> bool {
        let is_written = matches!(time::timeout(self.patience, ticket.0).await, Ok(Ok(())));
        if is_change && !is_written {
            self.metrics.unknown_outcome();
        }
        is_written
    }

    /// Why nothing can be written now.
    pub(super) fn fault(&self) -> Option<String> {
        self.queue.lock().fault.clone()
    }

    /// Waits until the writer has ended.
    pub(super) async fn ended(&self) {
        // An error means that the writer is gone.
        let _ = self.ended.clone().wait_for(|end| *end != JournalEnd::Running).await;
    }

    /// Refuses new entries, and waits until those in the queue are written; returns whether they are.
    pub(super) async fn close(&self) -> bool {
        self.queue.lock().is_closed = true;
        self.moved.notify_one();
        self.ended().await;
        *self.ended.borrow() == JournalEnd::InOrder
    }

    fn push(&self, entry: JournalEntry, bytes: usize) -> Result<(u64, DurabilityTicket), StoreError> {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return Err(StoreError::Unavailable("the file is closed"));
        }
        if queue.fault.is_some() {
            return Err(StoreError::Unavailable("the file cannot be written"));
        }
        if queue.bytes + bytes > QUEUE_BYTES_MAX {
            return Err(StoreError::Unavailable("too many changes are waiting to be written"));
        }
        let (waiter, ticket) = oneshot::channel();
        queue.entries.push(QueuedEntry { entry, bytes, waiter });
        queue.bytes += bytes;
        queue.entered += 1;
        let entered = queue.entered;
        drop(queue);
        self.moved.notify_one();
        Ok((entered, DurabilityTicket(ticket)))
    }
}
