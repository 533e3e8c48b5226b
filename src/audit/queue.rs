//! The queue of audit jobs in Redis, as a handful of operations on one connection. Does not know when they are
//! called for, nor what a job says.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::engine::{StateTag, Timestamp};
use crate::redis::{Bell, Commands, Keyspace, Link, LinkError, Partition, Queue as Part, Reply, Server};
use crate::wire::{self, JobName};

use super::carried::Carried;
use super::replies::{bytes, list, number, time_ms};
use super::scripts::{Script, Scripts};

/// Jobs in a batch at most.
pub(super) const BATCH_MAX: usize = 128;
/// How long a batch is its holder's, unless the lease is renewed.
const LEASE: Duration = Duration::from_secs(15);
/// How often a job may be alone with somebody who dies before it is taken for the cause.
const REAPS_MAX: u32 = 3;
/// Batches that are looked at, and delayed jobs that are promoted, at once.
const SOME: usize = 100;

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
        let jobs: Vec<_> = list(reply).into_iter().map(Carried::parse).collect();
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
        for partition in &all {
            commands.cmd("LLEN").arg(self.keyspace.queue(*partition, Part::Wait));
        }
        let lengths = self.ask(&commands).await?;
        let longest = all.into_iter().zip(lengths.iter().map(number)).max_by_key(|(_, waiting)| *waiting);
        let Some((partition, 1..)) = longest else { return Ok(None) };
        let mut commands = Commands::new();
        let name = self.add_fetch(partition, &mut commands).await?;
        let reply = self.ask(&commands).await?.pop();
        Ok(reply.and_then(|reply| Batch::fetched(partition, name, reply)))
    }

    /// Adds what fetches a batch; returns its name.
    async fn add_fetch(&mut self, partition: Partition, commands: &mut Commands) -> Result<String, LinkError> {
        self.batches += 1;
        let name = format!("{}:{}", self.worker, self.batches);
        let keys = [self.key(partition, Part::Wait), self.batch(partition, &name), self.key(partition, Part::Lease)];
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Fetch, &keys, commands);
        call.arg(BATCH_MAX).arg(LEASE.as_millis() as u64).arg(&name);
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
        let (mut written, mut delayed, mut dead, mut done) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (job, fate) in batch.jobs.iter().zip(fates) {
            let name = job.name.map(named);
            let (session, tag) = name.unwrap_or_default();
            match fate {
                Fate::Written => {
                    written_bytes += job.job().len();
                    written.push((session, tag, u8::from(job.is_apart())));
                    done.extend(job.name.as_ref().map(wire::done_job));
                }
                Fate::Delayed(pause, _) => {
                    delayed.push((pause.as_millis() as u64, job.again(), session, u8::from(!job.is_apart())));
                }
                Fate::Dead(error) => dead.push((job.dead(error), session, u8::from(!job.is_apart()))),
            }
        }
        let partition = batch.partition;
        let parts = [Part::Pending, Part::Bytes, Part::Done, Part::Delayed, Part::Dead];
        let mut keys = vec![self.batch(partition, &batch.name), self.key(partition, Part::Lease)];
        keys.extend(parts.map(|part| self.key(partition, part)));
        let mut commands = Commands::new();
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Settle, &keys, &mut commands);
        call.arg(&batch.name).arg(written_bytes).arg(written.len());
        for (session, tag, apart) in &written {
            call.arg(session).arg(tag).arg(*apart);
        }
        call.arg(delayed.len());
        for (due_ms, job, session, apart) in &delayed {
            call.arg(*due_ms).arg(job.as_slice()).arg(session).arg(*apart);
        }
        call.arg(dead.len());
        for (entry, session, apart) in &dead {
            call.arg(entry.as_slice()).arg(session).arg(*apart);
        }
        call.arg(done.len());
        for entry in &done {
            call.arg(entry.as_slice());
        }
        let next = match wants_more {
            true => Some(self.add_fetch(partition, &mut commands).await?),
            false => None,
        };
        let mut replies = self.ask(&commands).await?.into_iter();
        let now_ms = replies.next().as_ref().map_or(0, number);
        let next = next.zip(replies.next()).and_then(|(name, reply)| Batch::fetched(partition, name, reply));
        Ok(((now_ms > 0).then(|| Timestamp::from_ms(now_ms)), next))
    }

    /// Gives a batch back as it was.
    pub(super) async fn release(&mut self, batch: &Batch) -> Result<(), LinkError> {
        let partition = batch.partition;
        let keys =
            [self.batch(partition, &batch.name), self.key(partition, Part::Lease), self.key(partition, Part::Wait)];
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

    /// Gives back batches whose holders do not renew their leases; returns how many jobs wait again, and how many are
    /// dead.
    pub(super) async fn reap(&mut self, over: &[(Partition, String)]) -> Result<(u64, u64), LinkError> {
        let (mut waiting, mut dead) = (0, 0);
        for (partition, name) in over.iter().take(SOME) {
            let mut first = Commands::new();
            first.cmd("LINDEX").arg(self.batch(*partition, name)).arg(0);
            let first = self.ask(&first).await?.pop().map(bytes).unwrap_or_default();
            let session = Carried::parse(first).name.map(named).unwrap_or_default().0;
            let parts = [Part::Lease, Part::Wait, Part::Dead, Part::Pending];
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

    /// Lets delayed jobs wait whose time has come; returns how many.
    pub(super) async fn promote(&mut self, delayed: &[Partition]) -> Result<u64, LinkError> {
        let mut waiting = 0;
        for partition in delayed {
            let keys = [self.key(*partition, Part::Delayed), self.key(*partition, Part::Wait)];
            let promoted = self.run(Script::Promote, &keys, |call| {
                call.arg(SOME);
            });
            waiting += number(&promoted.await?);
        }
        Ok(waiting)
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

pub(super) fn named(name: JobName) -> (String, String) {
    let JobName { session, tag: StateTag { epoch, version }, .. } = name;
    (session.to_string(), format!("{epoch}.{version}"))
}
