//! The way of a batch to a writer thread, which has room for one. Does not know what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError};
use tokio::sync::Notify;

use super::assignment::Assignment;

/// Where a thread is assigned batches.
pub(super) struct InboxSender {
    sender: Sender<Assignment>,
    assigned: Arc<Notify>,
}

/// Where a thread waits for batches.
pub(super) struct Inbox {
    receiver: Receiver<Assignment>,
    assigned: Arc<Notify>,
}

/// Both ends.
pub(super) fn inbox() -> (InboxSender, Inbox) {
    // Only an idle thread is sent a batch, which never waits here for long.
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let assigned = Arc::new(Notify::new());
    (InboxSender { sender, assigned: Arc::clone(&assigned) }, Inbox { receiver, assigned })
}

impl InboxSender {
    /// Sends a batch; returns it when there is no room for it.
    pub(super) fn try_send(&self, assignment: Assignment) -> Result<(), Assignment> {
        self.sender.try_send(assignment).map_err(TrySendError::into_inner)?;
        self.assigned.notify_one();
        Ok(())
    }
}

impl Inbox {
    /// Blocks until there is a batch, for so long.
    pub(super) fn recv_timeout(&self, patience: Duration) -> Result<Assignment, RecvTimeoutError> {
        self.receiver.recv_timeout(patience)
    }

    /// Waits until there is a batch; `None` when there will be no more.
    pub(super) async fn recv(&self) -> Option<Assignment> {
        loop {
            match self.receiver.try_recv() {
                Ok(assignment) => return Some(assignment),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => self.assigned.notified().await,
            }
        }
    }
}

impl Drop for InboxSender {
    fn drop(&mut self) {
        self.assigned.notify_one();
    }
}
