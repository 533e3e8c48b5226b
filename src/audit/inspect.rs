//! Inspects a queue in two round trips: its statistics, and the batches whose lease has expired. Does not know what is done
//! about them.

use std::iter::Sum;

use crate::engine::Timestamp;
use crate::redis::{Partition, Pipeline, QueueKey, RedisError, resp::Value};

use super::queue::AuditQueue;
use super::queued_job::QueuedJob;
use super::replies::{list, number, time_ms};

/// Commands for each partition in the first round trip.
const COMMANDS: usize = 5;

/// So many delayed jobs that are due first are read, and as many that are due last: the oldest job is due first when its
/// holder died, and last when it was tried most often.
const EDGE: i64 = 16;

/// How many jobs a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs that wait to be fetched.
    pub waiting: u64,
    /// Jobs in leased batches, which are being written.
    pub leased: u64,
    /// Jobs that are retried, or whose holder died: each is fetched alone, when it is due.
    pub delayed: u64,
    /// Dead letters.
    pub dead: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// When the oldest job that is no dead letter was made.
    pub oldest: Option<Timestamp>,
}

impl Sum for QueueStats {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            waiting: sum.waiting + one.waiting,
            leased: sum.leased + one.leased,
            delayed: sum.delayed + one.delayed,
            dead: sum.dead + one.dead,
            bytes: sum.bytes + one.bytes,
            oldest: sum.oldest.into_iter().chain(one.oldest).min(),
        })
    }
}

/// What a queue holds, how old its oldest job is, and which leases have expired.
#[derive(Debug, Default)]
pub(super) struct QueueInspection {
    pub(super) stats: QueueStats,
    /// Redis' time, by which leases expire; not asked for when the queue is empty.
    pub(super) now: Timestamp,
    /// Batches whose lease has expired.
    pub(super) expired: Vec<(Partition, String)>,
}

/// What a reply of the second round trip is about.
enum FollowUp {
    /// Jobs one of which may be the oldest.
    Oldest,
    /// The length of a batch, and when its lease expires.
    Leased(Partition, String, u64),
}

impl AuditQueue {
    /// Inspects all partitions.
    pub(super) async fn inspect(&mut self) -> Result<QueueInspection, RedisError> {
        let all: Vec<_> = self.keyspace.all().collect();
        let mut commands = Pipeline::new();
        for partition in &all {
            commands.cmd("LLEN").arg(self.key(*partition, QueueKey::Wait));
            commands.cmd("ZCARD").arg(self.key(*partition, QueueKey::Delayed));
            commands.cmd("LLEN").arg(self.key(*partition, QueueKey::Dead));
            commands.cmd("GET").arg(self.key(*partition, QueueKey::Bytes));
            commands.cmd("ZRANGE").arg(self.key(*partition, QueueKey::Lease)).arg(0).arg(-1).arg("WITHSCORES");
        }
        let replies = self.ask(&commands).await?;
        let (mut inspection, mut follow_ups, mut commands) = (QueueInspection::default(), Vec::new(), Pipeline::new());
        commands.cmd("TIME");
        for (partition, replies) in all.into_iter().zip(replies.chunks(COMMANDS)) {
            let [waiting, delayed, dead, bytes, leases] = replies else { continue };
            let stats = &mut inspection.stats;
            stats.waiting += number(waiting);
            stats.delayed += number(delayed);
            stats.dead += number(dead);
            stats.bytes += number(bytes);
            if number(waiting) > 0 {
                commands.cmd("LINDEX").arg(self.key(partition, QueueKey::Wait)).arg(0);
                follow_ups.push(FollowUp::Oldest);
            }
            if number(delayed) > 0 {
                let key = self.key(partition, QueueKey::Delayed);
                for (first, last) in [(0, EDGE - 1), (-EDGE, -1)] {
                    commands.cmd("ZRANGE").arg(&key).arg(first).arg(last);
                    follow_ups.push(FollowUp::Oldest);
                }
            }
            for lease in leases.list().chunks(2) {
                let [name, end] = lease else { continue };
                let name = name.text().unwrap_or_default().to_owned();
                // The oldest is the first, as it was in the queue.
                commands.cmd("LINDEX").arg(self.batch(partition, &name)).arg(0);
                follow_ups.push(FollowUp::Oldest);
                commands.cmd("LLEN").arg(self.batch(partition, &name));
                follow_ups.push(FollowUp::Leased(partition, name, end.number().unwrap_or_default()));
            }
        }
        if !follow_ups.is_empty() {
            let mut replies = self.ask(&commands).await?.into_iter();
            inspection.now = Timestamp::from_ms(replies.next().as_ref().map_or(0, time_ms));
            follow_ups.into_iter().zip(replies).for_each(|(follow_up, reply)| inspection.add(follow_up, reply));
        }
        Ok(inspection)
    }
}

impl QueueInspection {
    fn add(&mut self, follow_up: FollowUp, reply: Value) {
        match follow_up {
            FollowUp::Oldest => {
                let entries = if reply.list().is_empty() { vec![reply.into_bytes()] } else { list(reply) };
                let ages =
                    entries.into_iter().filter_map(|entry| QueuedJob::parse(entry).header).map(|header| header.at);
                self.stats.oldest = self.stats.oldest.into_iter().chain(ages).min();
            }
            FollowUp::Leased(partition, name, end_ms) => {
                self.stats.leased += number(&reply);
                if end_ms <= self.now.as_ms() {
                    self.expired.push((partition, name));
                }
            }
        }
    }
}
