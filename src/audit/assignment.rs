//! A batch on its way to a writer thread, and the report of what became of it. Does not know who writes.

use tokio::sync::mpsc;

use super::leased_batch::LeasedBatch;
use super::queued_job::JobOutcome;

/// A batch for a thread, and where its outcome goes: dropping it reports, whatever dropped it.
pub(super) struct Assignment {
    pub(super) batch: LeasedBatch,
    pub(super) outcomes: Option<Vec<JobOutcome>>,
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
