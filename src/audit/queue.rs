//! The queue of audit jobs in Redis: fetch, acknowledge, release, renew, reap, over one connection. Does not know when they
//! are called for, nor what a job says.

use std::time::Duration;

use crate::engine::Timestamp;
use crate::random;
use crate::redis::{
    Keyspace, Partition, Pipeline, QueueKey, RedisConnection, RedisError, RedisServer, WakeUp, resp::Value,
};

use super::ack::AckArguments;
use super::leased_batch::LeasedBatch;
use super::queued_job::{JobOutcome, QueuedJob, pending_field};
use super::replies::{self, number};
use super::scripts::{Script, Scripts};

/// Jobs in a batch at most.
const BATCH_MAX: usize = 2_048;
/// Bytes in a batch; the jobs that are moved together, up to 64, may exceed it.
const BATCH_LEN_MAX: usize = 4 << 20;
/// How long a lease lasts, unless it is renewed.
const LEASE: Duration = Duration::from_secs(15);
/// How often a holder may die with one job alone before that is a poison job.
const REAPS_MAX: u32 = 3;
/// Batches that are reaped in one go.
const REAPED_MAX: usize = 100;

/// The queue of one Redis server, in some partitions.
pub struct AuditQueue {
    server: RedisServer,
    pub(super) keyspace: Keyspace,
    /// This process' name, with which its batches' names begin.
    worker: String,
    batches: u64,
    /// Fetches whose reply was lost: the batch may be leased without a writer.
    unacknowledged_fetches: Vec<(Partition, String)>,
    connected: Option<(RedisConnection, Scripts)>,
    wake_up: WakeUp,
}

impl AuditQueue {
    /// The queues of a keyspace: one for each server that holds a part of it.
    pub fn all(server: &RedisServer, keyspace: &Keyspace) -> Vec<Self> {
        server.shards(keyspace).into_iter().map(|(server, keyspace)| Self::new(server, keyspace)).collect()
    }

    /// The queue on a server.
    pub fn new(server: RedisServer, keyspace: Keyspace) -> Self {
        let worker = random::name();
        Self {
            server,
            keyspace,
            worker,
            batches: 0,
            unacknowledged_fetches: Vec::new(),
            connected: None,
            wake_up: WakeUp::default(),
        }
    }

    /// The same, woken when a job is queued.
    pub fn with_wake_up(self, wake_up: WakeUp) -> Self {
        Self { wake_up, ..self }
    }

    pub(super) fn wake_up(&self) -> WakeUp {
        self.wake_up.clone()
    }

    /// How many jobs as long as those of `like` fill a batch, divided by the number of partitions.
    pub(super) fn full_batch_jobs(&self, like: &LeasedBatch) -> usize {
        let len: usize = like.jobs.iter().map(|job| job.job().len()).sum();
        let count = BATCH_MAX.min(like.jobs.len() * BATCH_LEN_MAX / len.max(1));
        (count / self.keyspace.all().count()).max(1)
    }

    /// Leases a batch of any partition: one delayed job that is due, or new jobs where at least `least` wait.
    pub(super) async fn fetch(&mut self, least: usize) -> Result<Option<LeasedBatch>, RedisError> {
        // A delayed job may not be due yet: then jobs that wait have their turn.
        for _ in 0..2 {
            let Some(partition) = self.most_urgent().await? else { return Ok(None) };
            let mut commands = Pipeline::new();
            let name = self.add_fetch(partition, least, &mut commands).await?;
            let reply = self.ask(&commands).await;
            let batch = self.fetched(partition, name, reply.map(|mut replies| replies.pop()))?;
            if batch.is_some() || self.keyspace.all().count() == 1 {
                return Ok(batch);
            }
        }
        Ok(None)
    }

    /// The partition to fetch from: by turns the one with most delayed jobs and the one where most jobs wait.
    async fn most_urgent(&mut self) -> Result<Option<Partition>, RedisError> {
        let all: Vec<_> = self.keyspace.all().collect();
        if let [only] = all[..] {
            return Ok(Some(only));
        }
        let is_turn_of_delayed = self.is_turn_of_delayed();
        let mut commands = Pipeline::new();
        for partition in &all {
            commands.cmd("LLEN").arg(self.key(*partition, QueueKey::Wait));
            commands.cmd("ZCARD").arg(self.key(*partition, QueueKey::Delayed));
        }
        let replies = self.ask(&commands).await?;
        let urgency = |replies: &[Value]| {
            let [waiting, delayed] = replies else { return (0, 0) };
            let (waiting, delayed) = (number(waiting), number(delayed));
            if is_turn_of_delayed { (delayed, waiting) } else { (waiting, delayed) }
        };
        let most = all.into_iter().zip(replies.chunks(2).map(urgency)).max_by_key(|(_, urgency)| *urgency);
        Ok(most.filter(|(_, urgency)| *urgency > (0, 0)).map(|(partition, _)| partition))
    }

    /// Delayed jobs and jobs that wait take turns, so that neither starves the other.
    fn is_turn_of_delayed(&self) -> bool {
        self.batches.is_multiple_of(2)
    }

    /// Adds the commands that fetch a batch; returns its name.
    async fn add_fetch(
        &mut self,
        partition: Partition,
        least: usize,
        commands: &mut Pipeline,
    ) -> Result<String, RedisError> {
        let is_turn_of_delayed = u8::from(self.is_turn_of_delayed());
        self.batches += 1;
        let name = format!("{}:{}", self.worker, self.batches);
        let batch = self.batch(partition, &name);
        let names = [QueueKey::Wait, QueueKey::Delayed, QueueKey::Lease, QueueKey::Bytes];
        let [wait, delayed, lease, bytes] = names.map(|key| self.key(partition, key));
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Fetch, &[wait, delayed, batch.clone(), lease, bytes], commands);
        call.arg(BATCH_MAX)
            .arg(LEASE.as_millis() as u64)
            .arg(&name)
            .arg(is_turn_of_delayed)
            .arg(least)
            .arg(BATCH_LEN_MAX);
        // A plain command reads its jobs: a script would copy them three times.
        commands.cmd("LRANGE").arg(&batch).arg(0).arg(-1);
        Ok(name)
    }

    /// The batch in a fetch's reply. When the reply was lost, the lease may exist all the same.
    fn fetched(
        &mut self,
        partition: Partition,
        name: String,
        reply: Result<Option<Value>, RedisError>,
    ) -> Result<Option<LeasedBatch>, RedisError> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.unacknowledged_fetches.push((partition, name));
                return Err(error);
            }
        };
        let jobs: Vec<_> = reply.into_iter().flat_map(replies::list).map(QueuedJob::parse).collect();
        Ok((!jobs.is_empty()).then_some(LeasedBatch { partition, name, jobs }))
    }

    /// Releases the batches of fetches whose reply was lost.
    pub(super) async fn release_unacknowledged_fetches(&mut self) -> Result<(), RedisError> {
        while let Some((partition, name)) = self.unacknowledged_fetches.last().cloned() {
            self.release_named(partition, &name).await?;
            self.unacknowledged_fetches.pop();
        }
        Ok(())
    }

    /// Acknowledges a batch; returns Redis' time, or `None` when the lease had been lost. With `wanted`, the same round trip
    /// fetches the next batch of at least so many jobs for the thread that is idle now.
    pub(super) async fn acknowledge(
        &mut self,
        batch: &LeasedBatch,
        outcomes: &[JobOutcome],
        wanted: Option<usize>,
    ) -> Result<(Option<Timestamp>, Option<LeasedBatch>), RedisError> {
        let partition = batch.partition;
        let names =
            [QueueKey::Lease, QueueKey::Pending, QueueKey::Bytes, QueueKey::Done, QueueKey::Delayed, QueueKey::Dead];
        let mut keys = vec![self.batch(partition, &batch.name)];
        keys.extend(names.map(|key| self.key(partition, key)));
        let mut commands = Pipeline::new();
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Ack, &keys, &mut commands);
        AckArguments::of(&batch.jobs, outcomes).append_to(call.arg(&batch.name));
        // With several partitions another one may be more urgent.
        let next = match wanted.filter(|_| self.keyspace.all().count() == 1) {
            Some(least) => Some(self.add_fetch(partition, least, &mut commands).await?),
            None => None,
        };
        let mut replies = self.ask(&commands).await.map(Vec::into_iter);
        let now_ms = replies.as_mut().ok().and_then(Iterator::next).as_ref().map_or(0, number);
        let next = match next {
            Some(name) => self.fetched(partition, name, replies.map(|mut replies| replies.nth(1)))?,
            None => replies.map(|_| None)?,
        };
        Ok(((now_ms > 0).then(|| Timestamp::from_ms(now_ms)), next))
    }

    /// Releases a batch: its jobs wait again, in their old order.
    pub(super) async fn release(&mut self, batch: &LeasedBatch) -> Result<(), RedisError> {
        self.release_named(batch.partition, &batch.name).await
    }

    async fn release_named(&mut self, partition: Partition, name: &str) -> Result<(), RedisError> {
        let rest = [QueueKey::Lease, QueueKey::Wait, QueueKey::Delayed].map(|key| self.key(partition, key));
        let keys = [&[self.batch(partition, name)], &rest[..]].concat();
        let released = self.run(Script::Release, &keys, |call| {
            call.arg(name);
        });
        released.await.map(|_| ())
    }

    /// Renews the leases of batches.
    pub(super) async fn renew(&mut self, batches: &[&LeasedBatch]) -> Result<(), RedisError> {
        for partition in self.keyspace.all() {
            let held: Vec<_> = batches.iter().filter(|batch| batch.partition == partition).collect();
            if held.is_empty() {
                continue;
            }
            let leases = [self.key(partition, QueueKey::Lease)];
            let renewed = self.run(Script::Renew, &leases, |call| {
                call.arg(LEASE.as_millis() as u64).args(held.iter().map(|batch| &batch.name));
            });
            renewed.await?;
        }
        Ok(())
    }

    /// Reaps batches whose lease has expired; returns how many jobs are retried, and how many are dead.
    pub(super) async fn reap(&mut self, expired: &[(Partition, String)]) -> Result<(u64, u64), RedisError> {
        let (mut retried, mut dead) = (0, 0);
        for (partition, name) in expired.iter().take(REAPED_MAX) {
            let mut first = Pipeline::new();
            first.cmd("LINDEX").arg(self.batch(*partition, name)).arg(0);
            let first = self.ask(&first).await?.pop().map(Value::into_bytes).unwrap_or_default();
            let session = QueuedJob::parse(first).header.map(pending_field).unwrap_or_default().0;
            let names = [QueueKey::Lease, QueueKey::Delayed, QueueKey::Dead, QueueKey::Pending];
            let mut keys = vec![self.batch(*partition, name)];
            keys.extend(names.map(|key| self.key(*partition, key)));
            let reply = self.run(Script::Reap, &keys, |call| {
                call.arg(name).arg(REAPS_MAX).arg(&session);
            });
            if let [retried_now, dead_now] = reply.await?.list() {
                retried += number(retried_now);
                dead += number(dead_now);
            }
        }
        Ok((retried, dead))
    }

    pub(super) fn key(&self, partition: Partition, key: QueueKey) -> String {
        self.keyspace.queue(partition, key)
    }

    pub(super) fn batch(&self, partition: Partition, name: &str) -> String {
        self.keyspace.batch(partition, name)
    }

    pub(super) async fn run(
        &mut self,
        script: Script,
        keys: &[String],
        arguments: impl FnOnce(&mut Pipeline),
    ) -> Result<Value, RedisError> {
        let mut commands = Pipeline::new();
        let (_, scripts) = self.connected().await?;
        arguments(scripts.call(script, keys, &mut commands));
        let reply = self.ask(&commands).await?.pop();
        reply.ok_or_else(|| RedisError::Io("a reply is missing".to_owned()))
    }

    /// The replies to commands; the first error reply fails all of them.
    pub(super) async fn ask(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let (link, _) = self.connected().await?;
        let replies = link.ask(commands).await.and_then(|replies| match replies.iter().find_map(Value::error) {
            Some(why) => Err(RedisError::Server(why.to_owned())),
            None => Ok(replies),
        });
        if replies.is_err() {
            // A restarted server has lost the scripts.
            self.connected = None;
        }
        replies
    }

    async fn connected(&mut self) -> Result<&mut (RedisConnection, Scripts), RedisError> {
        if self.connected.is_none() {
            let mut link = self.server.connect().await?;
            let scripts = Scripts::load(&mut link).await?;
            return Ok(self.connected.insert((link, scripts)));
        }
        self.connected.as_mut().ok_or_else(|| RedisError::Io("it was never made".to_owned()))
    }
}
