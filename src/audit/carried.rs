//! A job on its way through the queue: its bytes, what must be known of it, and how often it was tried. The
//! counts stand before the job, which is never encoded again: `2 1 {...}` was tried twice and its worker died
//! once; a job without counts is new. What has counts goes alone, so that others of its session may be written before it:
//! one that was tried, or is queued anew, is counted for that (it stands apart), one whose holder died is found among
//! those that are delayed. Does not know where it is queued.

use bytes::Bytes;

use crate::wire::{self, JobHeader};

/// A job and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// As it is queued.
    entry: Bytes,
    /// Where the job begins.
    start: usize,
    attempts: u32,
    reaps: u32,
    /// What it is called; a job that has no name cannot be written, and is dead.
    pub(super) name: Option<JobHeader>,
}

impl Carried {
    /// The job that is queued as `entry`.
    pub(super) fn parse(entry: Bytes) -> Self {
        let start = entry.iter().position(|byte| *byte == b'{').unwrap_or(0);
        let counts = std::str::from_utf8(&entry[..start]).unwrap_or_default();
        let mut counts = counts.split(' ').map(|count| count.parse().unwrap_or_default());
        let (attempts, reaps) = (counts.next().unwrap_or_default(), counts.next().unwrap_or_default());
        let name = wire::read_job_header(&entry[start..]);
        Self { start, attempts, reaps, name, entry }
    }

    /// The job.
    pub(super) fn job(&self) -> &[u8] {
        &self.entry[self.start..]
    }

    /// How often it could not be written although the database was there.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether others of its session may have been written before it.
    pub(super) fn is_apart(&self) -> bool {
        self.attempts > 0
    }

    /// As it is queued when it is tried once more.
    pub(super) fn again(&self) -> Vec<u8> {
        let mut entry = format!("{} {} ", self.attempts + 1, self.reaps).into_bytes();
        entry.extend_from_slice(self.job());
        entry
    }

    /// As it is kept among the dead.
    pub(super) fn dead(&self, error: &str) -> Vec<u8> {
        wire::encode_dead_letter(self.job(), error, self.attempts + 1)
    }
}

/// A dead job as it is queued anew: it still stands apart.
pub(super) fn revived(job: &[u8]) -> Vec<u8> {
    [b"1 0 ", job].concat()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Carried;

    #[test]
    fn counts_stand_before_the_job() {
        let new = Carried::parse(Bytes::from_static(br#"{"a":1}"#));
        assert_eq!((new.job(), new.attempts()), (&br#"{"a":1}"#[..], 0));
        let again = Carried::parse(new.again().into());
        assert_eq!((again.job(), again.attempts(), again.again()), (new.job(), 1, br#"2 0 {"a":1}"#.to_vec()));
        assert_eq!(Carried::parse(Bytes::from_static(br#"3 2 {"a":1}"#)).again(), br#"4 2 {"a":1}"#);
        let none = Carried::parse(Bytes::from_static(b"what"));
        assert_eq!((none.job(), none.name), (&b"what"[..], None), "what is no job is kept as it is");
    }
}
