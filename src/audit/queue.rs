//! The queue of audit jobs in Redis, as a handful of operations on one connection. Does not know when they are
//! called for, nor what a job says.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::engine::{StateTag, Timestamp};
use crate::redis::{Bell, Commands, Keyspace, Link, LinkError, Partition, Queue as Part, Reply, Server, Word};
use crate::wire::{self, JobName};

use super::carried::Carried;
use super::replies::{self, bytes, number, time_ms};
use super::scripts::{Script, Scripts};

/// Jobs in a batch at most.
pub(super) const BATCH_MAX: usize = 128;
/// How long a batch is its holder's, unless the lease is renewed.
const LEASE: Duration = Duration::from_secs(15);
/// How often a job may be alone with somebody who dies before it is taken for the cause.
const REAPS_MAX: u32 = 3;
/// Batches that are taken back at once.
const SOME: usize = 100;
/// Successes that are remembered.
const DONE_MAX: usize = 100;

/// The queue.
pub struct Queue {
    server: Server,
    pub(super) keyspace: Keyspace,
    /// Names this process's batches.
    worker: String,
    batches: u64,
    connected: Option<(Link, Scripts)>,
    bell: Bell,
}

/// Jobs that are held under a lease.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    partition: Partition,
    name: String,
    pub(super) jobs: Vec<Carried>,
}

impl Batch {
    /// What a fetch came to.
    fn fetched(partition: Partition, name: String, reply: Reply) -> Option<Self> {
        let jobs: Vec<_> = replies::list(reply).into_iter().map(Carried::parse).collect();
        (!jobs.is_empty()).then_some(Self { partition, name, jobs })
    }

    /// Whether it is the same one.
    pub(super) fn is(&self, other: &Batch) -> bool {
        self.name == other.name
    }
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Written,
    /// Tried again after a while.
    Delayed(Duration, String),
    /// Given up.
    Dead(String),
}

impl Queue {
    /// The queues of everything in a keyspace, each where one server keeps it.
    pub fn all(server: &Server, keyspace: &Keyspace) -> Vec<Self> {
        server.shares(keyspace).into_iter().map(|(server, keyspace)| Self::new(server, keyspace)).collect()
    }

    /// The queue on a server.
    pub fn new(server: Server, keyspace: Keyspace) -> Self {
        // The standard library's hash keys are random: no two processes have the same name.
        let worker = format!("{:016x}", RandomState::new().hash_one(0_u8));
        Self { server, keyspace, worker, batches: 0, connected: None, bell: Bell::default() }
    }

    /// The same, told by a bell when something is put into it.
    pub fn with_bell(self, bell: Bell) -> Self {
        Self { bell, ..self }
    }

    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Jobs of any partition that has some, held under a lease.
    pub(super) async fn fetch(&mut self) -> Result<Option<Batch>, LinkError> {
        let all: Vec<_> = self.keyspace.all().collect();
        let mut commands = Commands::new();
        commands.cmd("TIME");
        for partition in &all {
            commands.cmd("LLEN").arg(self.key(*partition, Part::Wait));
            commands.cmd("ZRANGE").arg(self.key(*partition, Part::Delayed)).arg(0).arg(0).arg("WITHSCORES");
        }
        let replies = self.ask(&commands).await?;
        let Some((time, each)) = replies.split_first() else { return Ok(None) };
        // Where something is due that is tried alone, or else most waits.
        let urgency = |replies: &[Reply]| {
            let first_due_ms = replies.get(1).and_then(|first| first.list().get(1)?.number::<u64>());
            (first_due_ms.is_some_and(|due_ms| due_ms <= time_ms(time)), replies.first().map_or(0, number))
        };
        let most_urgent = all.into_iter().zip(each.chunks(2).map(urgency)).max_by_key(|(_, urgency)| *urgency);
        let Some((partition, (true, _) | (_, 1..))) = most_urgent else { return Ok(None) };
        let mut commands = Commands::new();
        let name = self.add_fetch(partition, &mut commands).await?;
        let reply = self.ask(&commands).await?.pop();
        Ok(reply.and_then(|reply| Batch::fetched(partition, name, reply)))
    }

    /// Adds what fetches a batch; returns its name.
    async fn add_fetch(&mut self, partition: Partition, commands: &mut Commands) -> Result<String, LinkError> {
        self.batches += 1;
        let name = format!("{}:{}", self.worker, self.batches);
        let batch = self.batch(partition, &name);
        let [wait, delayed, lease] = [Part::Wait, Part::Delayed, Part::Lease].map(|part| self.key(partition, part));
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Fetch, &[wait, delayed, batch.clone(), lease], commands);
        call.arg(BATCH_MAX).arg(LEASE.as_millis() as u64).arg(&name);
        // What is in it comes by itself: through a script it would be copied three times.
        commands.cmd("LRANGE").arg(&batch).arg(0).arg(-1);
        Ok(name)
    }

    /// Ends a batch; returns the time, or `None` when the lease had been lost. What waits in the same partition is
    /// fetched in the same round trip, when it is wanted: there is somebody now who has nothing to do.
    pub(super) async fn settle(
        &mut self,
        batch: &Batch,
        fates: &[Fate],
        wants_more: bool,
    ) -> Result<(Option<Timestamp>, Option<Batch>), LinkError> {
        let mut written_bytes = 0;
        let (mut sessions, mut tags, mut apart, mut changes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut delayed, mut pauses, mut dead, mut done) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (job, fate) in batch.jobs.iter().zip(fates) {
            let (session, tag) = job.name.map(named).unwrap_or_default();
            let change = match fate {
                Fate::Written => -i64::from(job.is_apart()),
                Fate::Delayed(..) | Fate::Dead(_) => i64::from(!job.is_apart()),
            };
            if change != 0 {
                apart.push(session.clone());
                changes.push(change);
            }
            match fate {
                Fate::Written => {
                    written_bytes += job.job().len();
                    sessions.push(session);
                    tags.push(tag);
                    done.extend(job.name.as_ref());
                }
                Fate::Delayed(pause, _) => {
                    delayed.push(job.again());
                    pauses.push(pause.as_millis() as u64);
                }
                Fate::Dead(error) => dead.push(job.dead(error)),
            }
        }
        let done = done[done.len().saturating_sub(DONE_MAX)..].iter().map(|name| wire::done_job(name)).collect();
        let partition = batch.partition;
        let parts = [Part::Pending, Part::Bytes, Part::Done, Part::Delayed, Part::Dead];
        let mut keys = vec![self.batch(partition, &batch.name), self.key(partition, Part::Lease)];
        keys.extend(parts.map(|part| self.key(partition, part)));
        let mut commands = Commands::new();
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Settle, &keys, &mut commands);
        call.arg(&batch.name).arg(written_bytes);
        list(call, sessions);
        list(call, tags);
        list(call, apart);
        list(call, changes);
        list(call, delayed);
        list(call, pauses);
        list(call, dead);
        list::<Vec<u8>>(call, done);
        let next = match wants_more {
            true => Some(self.add_fetch(partition, &mut commands).await?),
            false => None,
        };
        let mut replies = self.ask(&commands).await?.into_iter();
        let now_ms = replies.next().as_ref().map_or(0, number);
        let next = next.zip(replies.nth(1)).and_then(|(name, reply)| Batch::fetched(partition, name, reply));
        Ok(((now_ms > 0).then(|| Timestamp::from_ms(now_ms)), next))
    }

    /// Gives a batch back as it was.
    pub(super) async fn release(&mut self, batch: &Batch) -> Result<(), LinkError> {
        let partition = batch.partition;
        let parts = [Part::Lease, Part::Wait, Part::Delayed].map(|part| self.key(partition, part));
        let keys = [&[self.batch(partition, &batch.name)], &parts[..]].concat();
        let released = self.run(Script::Release, &keys, |call| {
            call.arg(&batch.name);
        });
        released.await.map(|_| ())
    }

    /// The time that leases go by.
    pub(super) async fn now(&mut self) -> Result<Timestamp, LinkError> {
        let mut commands = Commands::new();
        commands.cmd("TIME");
        Ok(Timestamp::from_ms(self.ask(&commands).await?.first().map_or(0, time_ms)))
    }

    /// Holds on to batches.
    pub(super) async fn renew(&mut self, batches: &[&Batch]) -> Result<(), LinkError> {
        let end_ms = self.now().await?.as_ms() + LEASE.as_millis() as u64;
        let mut commands = Commands::new();
        for batch in batches {
            commands.cmd("ZADD").arg(self.key(batch.partition, Part::Lease)).arg("XX").arg(end_ms).arg(&batch.name);
        }
        self.ask(&commands).await.map(|_| ())
    }

    /// Gives back batches whose holders do not renew their leases; returns how many jobs are tried again, and how many
    /// are dead.
    pub(super) async fn reap(&mut self, over: &[(Partition, String)]) -> Result<(u64, u64), LinkError> {
        let (mut waiting, mut dead) = (0, 0);
        for (partition, name) in over.iter().take(SOME) {
            let mut first = Commands::new();
            first.cmd("LINDEX").arg(self.batch(*partition, name)).arg(0);
            let first = self.ask(&first).await?.pop().map(bytes).unwrap_or_default();
            let session = Carried::parse(first).name.map(named).unwrap_or_default().0;
            let parts = [Part::Lease, Part::Delayed, Part::Dead, Part::Pending];
            let mut keys = vec![self.batch(*partition, name)];
            keys.extend(parts.map(|part| self.key(*partition, part)));
            let reply = self.run(Script::Reap, &keys, |call| {
                call.arg(name).arg(REAPS_MAX).arg(&session);
            });
            if let [again, given_up] = reply.await?.list() {
                waiting += number(again);
                dead += number(given_up);
            }
        }
        Ok((waiting, dead))
    }

    pub(super) fn key(&self, partition: Partition, part: Part) -> String {
        self.keyspace.queue(partition, part)
    }

    pub(super) fn batch(&self, partition: Partition, name: &str) -> String {
        self.keyspace.batch(partition, name)
    }

    pub(super) async fn run(
        &mut self,
        script: Script,
        keys: &[String],
        arguments: impl FnOnce(&mut Commands),
    ) -> Result<Reply, LinkError> {
        let mut commands = Commands::new();
        let (_, scripts) = self.connected().await?;
        arguments(scripts.call(script, keys, &mut commands));
        let reply = self.ask(&commands).await?.pop();
        reply.ok_or_else(|| LinkError::Lost("a reply is missing".to_owned()))
    }

    /// The replies to commands; an error of one is the error of all.
    pub(super) async fn ask(&mut self, commands: &Commands) -> Result<Vec<Reply>, LinkError> {
        let (link, _) = self.connected().await?;
        let replies = link.ask(commands).await.and_then(|replies| match replies.iter().find_map(Reply::refusal) {
            Some(why) => Err(LinkError::Refused(why.to_owned())),
            None => Ok(replies),
        });
        if replies.is_err() {
            // It may have forgotten the scripts.
            self.connected = None;
        }
        replies
    }

    async fn connected(&mut self) -> Result<&mut (Link, Scripts), LinkError> {
        if self.connected.is_none() {
            let mut link = self.server.connect().await?;
            let scripts = Scripts::load(&mut link).await?;
            return Ok(self.connected.insert((link, scripts)));
        }
        self.connected.as_mut().ok_or_else(|| LinkError::Lost("it was never made".to_owned()))
    }
}

/// Adds how many words there are, and the words.
fn list<W: Word>(call: &mut Commands, words: Vec<W>) {
    call.arg(words.len()).args(words);
}

pub(super) fn named(name: JobName) -> (String, String) {
    let JobName { session, tag: StateTag { epoch, version }, .. } = name;
    (session.to_string(), format!("{epoch}.{version}"))
}
