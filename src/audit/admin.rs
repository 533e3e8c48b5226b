//! The queue's administration: statistics, dead letters, redrive and deletion. Does not know the command line.

use bytes::Bytes;

use crate::redis::{Partition, Pipeline, QueueKey, RedisError};
use crate::wire::{self, DeadLetter};

use super::inspect::QueueStats;
use super::queue::AuditQueue;
use super::queued_job::{encode_redriven, pending_field};
use super::replies::{list, number};
use super::scripts::Script;

/// Dead letters that are read in one round trip.
const PAGE: usize = 1_000;

/// All queues as one.
pub struct QueueAdmin(Vec<AuditQueue>);

impl QueueAdmin {
    /// Administers `queues`.
    pub fn new(queues: Vec<AuditQueue>) -> Self {
        Self(queues)
    }

    /// How many jobs wait, are leased, delayed and dead.
    pub async fn stats(&mut self) -> Result<QueueStats, RedisError> {
        let mut all = Vec::new();
        for queue in &mut self.0 {
            all.push(queue.stats().await?);
        }
        Ok(all.into_iter().sum())
    }

    /// The oldest dead letters, `most` of them at most.
    pub async fn dead(&mut self, most: usize) -> Result<Vec<DeadLetter>, RedisError> {
        let mut dead = Vec::new();
        for queue in &mut self.0 {
            dead.extend(queue.dead(most - dead.len()).await?);
        }
        Ok(dead)
    }

    /// Redrives dead letters: those of these events, or all; returns how many.
    pub async fn redrive(&mut self, events: &[String]) -> Result<u64, RedisError> {
        let mut count = 0;
        for queue in &mut self.0 {
            count += queue.redrive(events).await?;
        }
        Ok(count)
    }

    /// Deletes the dead letter of an event for good; returns whether there was one.
    pub async fn drop_dead(&mut self, event: &str) -> Result<bool, RedisError> {
        for queue in &mut self.0 {
            if queue.drop_dead(event).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl AuditQueue {
    /// How many jobs wait, are leased, delayed and dead.
    pub async fn stats(&mut self) -> Result<QueueStats, RedisError> {
        Ok(self.inspect().await?.stats)
    }

    /// The oldest dead letters, `most` of them at most.
    pub async fn dead(&mut self, most: usize) -> Result<Vec<DeadLetter>, RedisError> {
        let found = self.dead_entries(most).await?;
        Ok(found.into_iter().filter_map(|(_, entry)| wire::read_dead_letter(&entry)).collect())
    }

    /// Redrives dead letters: those of these events, or all; returns how many.
    pub async fn redrive(&mut self, events: &[String]) -> Result<u64, RedisError> {
        let mut count = 0;
        for (partition, entry) in self.dead_entries(usize::MAX).await? {
            let Some(DeadLetter { job, .. }) = wire::read_dead_letter(&entry) else { continue };
            if !events.is_empty() && !is_of_events(&job, events) {
                continue;
            }
            let keys = [QueueKey::Dead, QueueKey::Delayed].map(|key| self.key(partition, key));
            let moved = self.run(Script::Redrive, &keys, |call| {
                call.arg(&entry[..]).arg(encode_redriven(&job));
            });
            count += number(&moved.await?);
        }
        Ok(count)
    }

    /// Deletes the dead letter of an event for good; returns whether there was one.
    pub async fn drop_dead(&mut self, event: &str) -> Result<bool, RedisError> {
        let events = [event.to_owned()];
        for (partition, entry) in self.dead_entries(usize::MAX).await? {
            let Some(DeadLetter { job, .. }) = wire::read_dead_letter(&entry) else { continue };
            if !is_of_events(&job, &events) {
                continue;
            }
            let (session, tag) = wire::read_job_header(&job).map(pending_field).unwrap_or_default();
            let keys = [QueueKey::Dead, QueueKey::Bytes, QueueKey::Pending];
            let keys = keys.map(|key| self.key(partition, key));
            let gone = self.run(Script::Drop, &keys, |call| {
                call.arg(&entry[..]).arg(job.len()).arg(session).arg(tag);
            });
            return Ok(number(&gone.await?) > 0);
        }
        Ok(false)
    }

    async fn dead_entries(&mut self, most: usize) -> Result<Vec<(Partition, Bytes)>, RedisError> {
        let mut found = Vec::new();
        for partition in self.keyspace.all() {
            let (key, mut start) = (self.key(partition, QueueKey::Dead), 0);
            while found.len() < most {
                let count = PAGE.min(most - found.len());
                let mut commands = Pipeline::new();
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

fn is_of_events(job: &[u8], events: &[String]) -> bool {
    wire::read_job_header(job)
        .is_some_and(|header| events.iter().any(|event| event.eq_ignore_ascii_case(&header.event.to_string())))
}
