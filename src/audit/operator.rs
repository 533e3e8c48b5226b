//! What people who run the server want to know of the queue, and may do with jobs that were given up. Does not
//! know how they are asked.

use std::iter::Sum;

use bytes::Bytes;

use crate::engine::Timestamp;
use crate::redis::{Commands, LinkError, Partition, Queue as Part};
use crate::wire::{self, DeadLetter};

use super::carried;
use super::queue::{Queue, named};
use super::replies::{list, number};
use super::scripts::Script;

/// Dead jobs that are read at once.
const PAGE: usize = 1_000;

/// What is queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Jobs that wait.
    pub waiting: u64,
    /// Jobs that are being written.
    pub held: u64,
    /// Jobs that are tried again, or whose holder died: each alone, when it is due.
    pub delayed: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// When the oldest job was made that waits, is being written, or is delayed.
    pub oldest: Option<Timestamp>,
}

impl Sum for Stats {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            waiting: sum.waiting + one.waiting,
            held: sum.held + one.held,
            delayed: sum.delayed + one.delayed,
            dead: sum.dead + one.dead,
            bytes: sum.bytes + one.bytes,
            oldest: sum.oldest.into_iter().chain(one.oldest).min(),
        })
    }
}

/// All queues, as people see them: one.
pub struct Operator(Vec<Queue>);

impl Operator {
    /// Who asks `queues`.
    pub fn new(queues: Vec<Queue>) -> Self {
        Self(queues)
    }

    /// What is queued.
    pub async fn stats(&mut self) -> Result<Stats, LinkError> {
        let mut all = Vec::new();
        for queue in &mut self.0 {
            all.push(queue.stats().await?);
        }
        Ok(all.into_iter().sum())
    }

    /// The oldest dead jobs, `most` of them at most.
    pub async fn dead(&mut self, most: usize) -> Result<Vec<DeadLetter>, LinkError> {
        let mut dead = Vec::new();
        for queue in &mut self.0 {
            dead.extend(queue.dead(most - dead.len()).await?);
        }
        Ok(dead)
    }

    /// Has dead jobs tried again: those of these events, or all; returns how many.
    pub async fn redrive(&mut self, events: &[String]) -> Result<u64, LinkError> {
        let mut count = 0;
        for queue in &mut self.0 {
            count += queue.redrive(events).await?;
        }
        Ok(count)
    }

    /// Takes the dead job of an event away for good; returns whether there was one.
    pub async fn drop_dead(&mut self, event: &str) -> Result<bool, LinkError> {
        for queue in &mut self.0 {
            if queue.drop_dead(event).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Queue {
    /// What is queued.
    pub async fn stats(&mut self) -> Result<Stats, LinkError> {
        Ok(self.survey().await?.stats)
    }

    /// The oldest dead jobs, `most` of them at most.
    pub async fn dead(&mut self, most: usize) -> Result<Vec<DeadLetter>, LinkError> {
        let found = self.dead_entries(most).await?;
        Ok(found.into_iter().filter_map(|(_, entry)| wire::read_dead_letter(&entry)).collect())
    }

    /// Has dead jobs tried again: those of these events, or all; returns how many.
    pub async fn redrive(&mut self, events: &[String]) -> Result<u64, LinkError> {
        let mut count = 0;
        for (partition, entry) in self.dead_entries(usize::MAX).await? {
            let Some(DeadLetter { job, .. }) = wire::read_dead_letter(&entry) else { continue };
            if !events.is_empty() && !is_named(&job, events) {
                continue;
            }
            let keys = [Part::Dead, Part::Delayed].map(|part| self.key(partition, part));
            let moved = self.run(Script::Redrive, &keys, |call| {
                call.arg(&entry[..]).arg(carried::revived(&job));
            });
            count += number(&moved.await?);
        }
        Ok(count)
    }

    /// Takes the dead job of an event away for good; returns whether there was one.
    pub async fn drop_dead(&mut self, event: &str) -> Result<bool, LinkError> {
        let events = [event.to_owned()];
        for (partition, entry) in self.dead_entries(usize::MAX).await? {
            let Some(DeadLetter { job, .. }) = wire::read_dead_letter(&entry) else { continue };
            if !is_named(&job, &events) {
                continue;
            }
            let (session, tag) = wire::read_job_header(&job).map(named).unwrap_or_default();
            let parts = [Part::Dead, Part::Bytes, Part::Pending];
            let keys = parts.map(|part| self.key(partition, part));
            let gone = self.run(Script::Drop, &keys, |call| {
                call.arg(&entry[..]).arg(job.len()).arg(session).arg(tag);
            });
            return Ok(number(&gone.await?) > 0);
        }
        Ok(false)
    }

    async fn dead_entries(&mut self, most: usize) -> Result<Vec<(Partition, Bytes)>, LinkError> {
        let mut found = Vec::new();
        for partition in self.keyspace.all() {
            let (key, mut start) = (self.key(partition, Part::Dead), 0);
            while found.len() < most {
                let count = PAGE.min(most - found.len());
                let mut commands = Commands::new();
                commands.cmd("LRANGE").arg(&key).arg(start).arg(start + count - 1);
                let entries: Vec<_> = self.ask(&commands).await?.into_iter().flat_map(list).collect();
                start += entries.len();
                let is_last = entries.len() < count;
                found.extend(entries.into_iter().map(|entry| (partition, entry)));
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn is_named(job: &[u8], events: &[String]) -> bool {
    wire::read_job_header(job)
        .is_some_and(|name| events.iter().any(|event| event.eq_ignore_ascii_case(&name.event.to_string())))
}
