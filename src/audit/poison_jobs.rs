//! Poison jobs: a batch that fails is halved until the poison job is alone, which is retried later or becomes a dead letter,
//! while all others are written. Does not know Redis.

use crate::supervision::panic_point;

use super::backoff::retry_pause;
use super::leased_batch::LeasedBatch;
use super::queued_job::{JobOutcome, QueuedJob};
use super::sink::WriteError;
use super::writer_thread::WriterThread;

/// Jobs that fail alone one after the other, for a reason that may not be theirs, until the database is waited for.
const UNCLEAR_MAX: usize = 8;

impl WriterThread {
    /// Writes a batch, and decides whose fault a failure is: a job's, which is retried or becomes a dead letter, or the
    /// database's, which opens the circuit breaker. `None` when the database is unavailable, or the pool stopped before.
    pub(super) fn write(&mut self, batch: &LeasedBatch) -> Option<Vec<JobOutcome>> {
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
