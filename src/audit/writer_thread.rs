//! One thread that writes batches into a sink. Decides whose fault a failure is: a job's, which is then retried or becomes a
//! dead letter, or the database's, which opens the circuit breaker and releases the batch. Halves a batch that fails until
//! the poison job stands alone. Does not know Redis.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::sync::mpsc;

use crate::supervision::{Supervisor, panic_point};

use super::backoff::retry_pause;
use super::database_breaker::DatabaseBreaker;
use super::leased_batch::LeasedBatch;
use super::queued_job::{JobOutcome, QueuedJob};
use super::sink::{Sink, WriteError};

/// Jobs that fail alone one after the other, for a reason that may not be theirs, until the database is waited for.
const UNCLEAR_MAX: usize = 8;

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
    sink: Box<dyn Sink>,
    /// How long it may be idle until it gives its connection up, if there are enough others.
    idle_timeout: Duration,
    inbox: Receiver<Assignment>,
    /// What it was assigned between two probes, when the breaker was closed again.
    next_assignment: Option<Assignment>,
    is_connected: bool,
    breaker: Arc<DatabaseBreaker>,
    supervisor: Supervisor,
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

    fn set_connected(&mut self, is_connected: bool) {
        if is_connected != self.is_connected {
            self.is_connected = is_connected;
            self.breaker.count_connection(is_connected);
        }
    }

    /// `None` when the database is unavailable, or the pool stopped before the outcome was known.
    fn write(&mut self, batch: &LeasedBatch) -> Option<Vec<JobOutcome>> {
        let mut may_be_database = batch.jobs.iter().all(|job| job.attempts() == 0);
        loop {
            let before = self.breaker.successes();
            let mut attempt = WriteAttempt { may_be_database, ..WriteAttempt::default() };
            self.write_halves(&batch.jobs, &mut attempt)?;
            // What fails where others pass is its own fault. Where nothing does it may be the database's.
            let Some(why) = attempt
                .unclear
                .filter(|_| attempt.is_abandoned || may_be_database && self.breaker.successes() == before)
            else {
                return Some(attempt.outcomes);
            };
            let before = self.breaker.successes();
            self.breaker.back_off(&why)?;
            if self.breaker.successes() != before {
                if !attempt.is_abandoned {
                    return Some(attempt.outcomes);
                }
                may_be_database = false;
            }
        }
    }

    /// Writes jobs together, or else each half by itself, so that a poison job keeps no other from being written.
    fn write_halves(&mut self, jobs: &[QueuedJob], attempt: &mut WriteAttempt) -> Option<()> {
        loop {
            if attempt.is_abandoned {
                return Some(());
            }
            match self.try_write(jobs) {
                Ok(()) => {
                    attempt.outcomes.extend(jobs.iter().map(|_| JobOutcome::Written));
                    attempt.unclear_in_a_row = 0;
                }
                Err(WriteError::Unavailable(why)) => {
                    self.breaker.failed(&why);
                    return None;
                }
                Err(error) if jobs.len() > 1 => {
                    if let WriteError::Timeout(why) = error {
                        self.breaker.back_off(&why)?;
                    } else if self.breaker.is_stopping() {
                        return None;
                    }
                    let (first, second) = jobs.split_at(jobs.len() / 2);
                    self.write_halves(first, attempt)?;
                    self.write_halves(second, attempt)?;
                }
                Err(WriteError::Timeout(why)) => {
                    self.breaker.back_off(&why)?;
                    continue;
                }
                Err(WriteError::Constraint(why)) => attempt.outcomes.push(JobOutcome::Dead(why)),
                Err(WriteError::BadJob(why) | WriteError::Conflict(why)) => {
                    attempt.outcomes.push(failed(jobs[0].attempts(), why));
                }
                Err(WriteError::Unclear(why)) => {
                    attempt.outcomes.push(failed(jobs[0].attempts(), why.clone()));
                    attempt.unclear = Some(why);
                    attempt.unclear_in_a_row += 1;
                    attempt.is_abandoned = attempt.may_be_database && attempt.unclear_in_a_row == UNCLEAR_MAX;
                }
            }
            return Some(());
        }
    }

    fn try_write(&mut self, jobs: &[QueuedJob]) -> Result<(), WriteError> {
        let sink = &mut self.sink;
        let write = || {
            for header in jobs.iter().filter_map(|job| job.header) {
                panic_point("audit_job", header.session);
            }
            let jobs: Vec<_> = jobs.iter().map(QueuedJob::job).collect();
            sink.write(&jobs)
        };
        // A job that makes us panic is isolated like any other poison job.
        let written = self.supervisor.guard("audit_batch", write);
        let result = written.unwrap_or_else(|panicked| Err(WriteError::BadJob(format!("a fault of ours: {panicked}"))));
        self.set_connected(!matches!(result, Err(WriteError::Unavailable(_))));
        if result.is_ok() {
            self.breaker.succeeded();
        }
        result
    }
}

/// One attempt at writing a batch.
#[derive(Default)]
struct WriteAttempt {
    outcomes: Vec<JobOutcome>,
    /// Why a job failed for a reason that may be the job's or the database's, if one did.
    unclear: Option<String>,
    /// So many jobs in a row failed so.
    unclear_in_a_row: usize,
    /// Whether it may be the database's fault.
    may_be_database: bool,
    /// So many did that it seems to be: the rest was not tried.
    is_abandoned: bool,
}

fn failed(attempts: u32, why: String) -> JobOutcome {
    match retry_pause(attempts) {
        Some(pause) => JobOutcome::Delayed(pause, why),
        None => JobOutcome::Dead(why),
    }
}
