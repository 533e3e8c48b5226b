//! The acknowledgement of a batch: the arguments of `scripts/ack.lua`, made of what each job came to. Does not know when the
//! script runs.

use crate::redis::{Pipeline, ToArg};
use crate::wire;

use super::queued_job::{JobOutcome, QueuedJob, pending_field};

/// How many of the jobs that were written last the queue remembers.
const DONE_MAX: usize = 100;

/// The outcomes of all jobs of a batch, as columns.
#[derive(Default)]
pub(super) struct AckArguments {
    written_bytes: usize,
    /// The sessions of written jobs, and the tags of their states.
    sessions: Vec<String>,
    tags: Vec<String>,
    /// Sessions whose number of jobs out of order changes, and by how much.
    out_of_order: Vec<String>,
    changes: Vec<i64>,
    /// Entries that are retried, and in how many ms.
    delayed: Vec<Vec<u8>>,
    pauses_ms: Vec<u64>,
    dead: Vec<Vec<u8>>,
    done: Vec<Vec<u8>>,
}

impl AckArguments {
    /// Jobs and outcomes are in the same order.
    pub(super) fn of(jobs: &[QueuedJob], outcomes: &[JobOutcome]) -> Self {
        let mut arguments = Self::default();
        jobs.iter().zip(outcomes).for_each(|(job, outcome)| arguments.add(job, outcome));
        let written = jobs.iter().zip(outcomes).filter(|(_, outcome)| **outcome == JobOutcome::Written);
        let headers: Vec<_> = written.filter_map(|(job, _)| job.header.as_ref()).collect();
        let newest = &headers[headers.len().saturating_sub(DONE_MAX)..];
        arguments.done = newest.iter().copied().map(wire::encode_done_job).collect();
        arguments
    }

    fn add(&mut self, job: &QueuedJob, outcome: &JobOutcome) {
        let (session, tag) = job.header.map(pending_field).unwrap_or_default();
        let change = match outcome {
            JobOutcome::Written => -i64::from(job.is_out_of_order()),
            JobOutcome::Delayed(..) | JobOutcome::Dead(_) => i64::from(!job.is_out_of_order()),
        };
        if change != 0 {
            self.out_of_order.push(session.clone());
            self.changes.push(change);
        }
        match outcome {
            JobOutcome::Written => {
                self.written_bytes += job.job().len();
                self.sessions.push(session);
                self.tags.push(tag);
            }
            JobOutcome::Delayed(pause, _) => {
                self.delayed.push(job.encode_retry());
                self.pauses_ms.push(pause.as_millis() as u64);
            }
            JobOutcome::Dead(error) => self.dead.push(job.encode_dead_letter(error)),
        }
    }

    /// Appends the arguments to the script's call, after the batch's name.
    pub(super) fn append_to(&self, call: &mut Pipeline) {
        call.arg(self.written_bytes).arg(DONE_MAX);
        append_list(call, &self.sessions);
        append_list(call, &self.tags);
        append_list(call, &self.out_of_order);
        append_list(call, &self.changes);
        append_list(call, &self.delayed);
        append_list(call, &self.pauses_ms);
        append_list(call, &self.dead);
        append_list(call, &self.done);
    }
}

/// Appends a list as its length and its elements.
fn append_list<W: ToArg>(call: &mut Pipeline, elements: &[W]) {
    call.arg(elements.len()).args(elements);
}
