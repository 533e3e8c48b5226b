//! One thread that writes batches into a sink, and probes the database while the circuit breaker is open. Does not know which
//! job of a batch fails (`poison_jobs.rs`), nor Redis.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::sync::mpsc;

use crate::supervision::{Supervisor, panic_point};

use super::database_breaker::DatabaseBreaker;
use super::leased_batch::LeasedBatch;
use super::queued_job::JobOutcome;
use super::sink::Sink;

/// A batch for a thread, and where its outcome goes: dropping it reports, whatever dropped it.
pub(super) struct Assignment {
    batch: LeasedBatch,
    outcomes: Option<Vec<JobOutcome>>,
    reports: mpsc::UnboundedSender<BatchReport>,
}

impl Assignment {
    /// A batch that is not written yet.
    pub(super) fn new(batch: LeasedBatch, reports: mpsc::UnboundedSender<BatchReport>) -> Self {
        Self { batch, outcomes: None, reports }
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        // A processor that does not wait any more loses its lease.
        let _ = self.reports.send(BatchReport { batch: self.batch.clone(), outcomes: self.outcomes.take() });
    }
}

/// What writing a batch came to.
pub(super) struct BatchReport {
    pub(super) batch: LeasedBatch,
    /// The outcome of each job; `None` when the database is unavailable or the pool stopped first: the batch is released.
    pub(super) outcomes: Option<Vec<JobOutcome>>,
}

/// A thread, which ends with the pool.
pub(super) struct WriterThread {
    pub(super) sink: Box<dyn Sink>,
    /// How long it may be idle until it gives its connection up, if there are enough others.
    idle_timeout: Duration,
    inbox: Receiver<Assignment>,
    /// What it was assigned between two probes, when the breaker was closed again.
    next_assignment: Option<Assignment>,
    is_connected: bool,
    pub(super) breaker: Arc<DatabaseBreaker>,
    pub(super) supervisor: Supervisor,
}

impl WriterThread {
    /// A thread that is not connected yet.
    pub(super) fn new(
        sink: Box<dyn Sink>,
        idle_timeout: Duration,
        inbox: Receiver<Assignment>,
        breaker: Arc<DatabaseBreaker>,
        supervisor: Supervisor,
    ) -> Self {
        Self { sink, idle_timeout, inbox, next_assignment: None, is_connected: false, breaker, supervisor }
    }

    /// Writes batches until the pool ends.
    pub(super) fn run(&mut self) {
        while let Some(mut assignment) = self.receive() {
            panic_point("audit_writer", "");
            assignment.outcomes = self.write(&assignment.batch);
            // This reports it.
            drop(assignment);
            self.probe_until_closed();
        }
    }

    /// The next batch; `None` when the pool has ended.
    fn receive(&mut self) -> Option<Assignment> {
        if let Some(assignment) = self.next_assignment.take() {
            return Some(assignment);
        }
        loop {
            match self.inbox.recv_timeout(self.idle_timeout) {
                Ok(assignment) => return Some(assignment),
                Err(RecvTimeoutError::Timeout) => {
                    if self.is_connected && self.breaker.release_connection() {
                        self.is_connected = false;
                        self.sink.disconnect();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Probes the database until it answers here or another thread has closed the breaker. Releases what it is assigned
    /// meanwhile.
    fn probe_until_closed(&mut self) {
        while let Some(pause) = self.breaker.probe_pause() {
            match self.inbox.recv_timeout(pause) {
                Ok(assignment) if self.breaker.is_closed() => self.next_assignment = Some(assignment),
                // Another instance gets it.
                Ok(assignment) => drop(assignment),
                Err(RecvTimeoutError::Timeout) => match self.sink.probe() {
                    Ok(()) => {
                        self.set_connected(true);
                        self.breaker.succeeded();
                    }
                    Err(error) => {
                        self.set_connected(false);
                        self.breaker.failed(error.why());
                    }
                },
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    pub(super) fn set_connected(&mut self, is_connected: bool) {
        if is_connected != self.is_connected {
            self.is_connected = is_connected;
            self.breaker.count_connection(is_connected);
        }
    }
}
