//! A job as the queue holds it: its bytes, its header, and how often it was tried. The counters precede the job, which
//! is never encoded again: `2 1 {...}` was tried twice and its holder died once; a new job has no counters. A job with
//! counters is fetched alone, so that others of its session may be written before it. One that was tried or redriven is
//! counted for that as out of order; one whose holder died is found among the delayed jobs. Does not know the queue.

use std::time::Duration;

use bytes::Bytes;

use crate::engine::StateTag;
use crate::wire::{self, JobHeader};

/// A job and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueuedJob {
    /// The bytes in the queue, counters included.
    entry: Bytes,
    /// Where the job begins.
    start: usize,
    attempts: u32,
    reaps: u32,
    /// Its header; a job without one cannot be written, and is dead.
    pub(super) header: Option<JobHeader>,
}

/// What writing a job came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobOutcome {
    /// Its row is committed.
    Written,
    /// It is retried after a pause; why it failed.
    Delayed(Duration, String),
    /// It becomes a dead letter; why.
    Dead(String),
}

impl QueuedJob {
    /// Reads an entry of the queue.
    pub(super) fn parse(entry: Bytes) -> Self {
        let start = entry.iter().position(|byte| *byte == b'{').unwrap_or(0);
        let counters = std::str::from_utf8(&entry[..start]).unwrap_or_default();
        let mut counters = counters.split(' ').map(|counter| counter.parse().unwrap_or_default());
        let (attempts, reaps) = (counters.next().unwrap_or_default(), counters.next().unwrap_or_default());
        let header = wire::read_job_header(&entry[start..]);
        Self { start, attempts, reaps, header, entry }
    }

    /// The job, without counters.
    pub(super) fn job(&self) -> &[u8] {
        &self.entry[self.start..]
    }

    /// How often writing it failed although the database was available.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether later jobs of its session may have been written before it.
    pub(super) fn is_out_of_order(&self) -> bool {
        self.attempts > 0
    }

    /// The entry for its next attempt.
    pub(super) fn encode_retry(&self) -> Vec<u8> {
        let mut entry = format!("{} {} ", self.attempts + 1, self.reaps).into_bytes();
        entry.extend_from_slice(self.job());
        entry
    }

    /// Its dead letter.
    pub(super) fn encode_dead_letter(&self, error: &str) -> Vec<u8> {
        wire::encode_dead_letter(self.job(), error, self.attempts + 1)
    }
}

/// The entry of a redriven job, which still counts as out of order.
pub(super) fn encode_redriven(job: &[u8]) -> Vec<u8> {
    [b"1 0 ", job].concat()
}

/// A job's session and its state's tag, as the key of pending jobs has them.
pub(super) fn pending_field(header: JobHeader) -> (String, String) {
    let JobHeader { session, tag: StateTag { epoch, version }, .. } = header;
    (session.to_string(), format!("{epoch}.{version}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::QueuedJob;

    #[test]
    fn counters_stand_before_the_job() {
        let new = QueuedJob::parse(Bytes::from_static(br#"{"a":1}"#));
        assert_eq!((new.job(), new.attempts()), (&br#"{"a":1}"#[..], 0));
        let retry = QueuedJob::parse(new.encode_retry().into());
        assert_eq!((retry.job(), retry.attempts()), (new.job(), 1));
        assert_eq!(retry.encode_retry(), br#"2 0 {"a":1}"#);
        assert_eq!(QueuedJob::parse(Bytes::from_static(br#"3 2 {"a":1}"#)).encode_retry(), br#"4 2 {"a":1}"#);
        let invalid = QueuedJob::parse(Bytes::from_static(b"what"));
        assert_eq!((invalid.job(), invalid.header), (&b"what"[..], None), "an invalid job keeps its bytes");
    }
}
