//! The queue of audit jobs in Redis, as a handful of operations on one connection. Does not know when they are
//! called for, nor what a job says.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::engine::{StateTag, Timestamp};
use crate::redis::{Bell, Commands, Keyspace, Link, LinkError, Partition, Queue as Part, Reply, Server};
use crate::wire::JobHeader;

use super::carried::Carried;
use super::replies::{self, number};
use super::scripts::{Script, Scripts};
use super::settlement::{Fate, Settlement};

/// Jobs in a batch at most.
const BATCH_MAX: usize = 2_048;
/// A batch that is so long is full, in bytes; with all of the last 64 jobs it may be longer.
const BATCH_LEN_MAX: usize = 4 << 20;
/// How long a batch is its holder's, unless the lease is renewed.
const LEASE: Duration = Duration::from_secs(15);
/// How often a job may be alone with somebody who dies before it is taken for the cause.
const REAPS_MAX: u32 = 3;
/// Batches that are taken back at once.
const REAPED_MAX: usize = 100;
/// The queue.
pub struct Queue {
    server: Server,
    pub(super) keyspace: Keyspace,
    /// Names this process's batches.
    worker: String,
    batches: u64,
    /// Batches of which it was not heard whether they were fetched.
    unheard: Vec<(Partition, String)>,
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
    /// Whether it is the same one.
    pub(super) fn is(&self, other: &Batch) -> bool {
        self.name == other.name
    }
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
        Self { server, keyspace, worker, batches: 0, unheard: Vec::new(), connected: None, bell: Bell::default() }
    }

    /// The same, told by a bell when something is put into it.
    pub fn with_bell(self, bell: Bell) -> Self {
        Self { bell, ..self }
    }

    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// How many jobs as long as those of `like` fill a batch; of several partitions each has its part.
    pub(super) fn full(&self, like: &Batch) -> usize {
        let len: usize = like.jobs.iter().map(|job| job.job().len()).sum();
        let count = BATCH_MAX.min(like.jobs.len() * BATCH_LEN_MAX / len.max(1));
        (count / self.keyspace.all().count()).max(1)
    }

    /// Jobs of any partition that has some, and of new ones at least so many, held under a lease.
    pub(super) async fn fetch(&mut self, least: usize) -> Result<Option<Batch>, LinkError> {
        // What is said to be due may not be due yet: then it is the turn of what waits.
        for _ in 0..2 {
            let Some(partition) = self.most_urgent().await? else { return Ok(None) };
            let mut commands = Commands::new();
            let name = self.add_fetch(partition, least, &mut commands).await?;
            let reply = self.ask(&commands).await;
            let batch = self.fetched(partition, name, reply.map(|mut replies| replies.pop()))?;
            if batch.is_some() || self.keyspace.all().count() == 1 {
                return Ok(batch);
            }
        }
        Ok(None)
    }

    /// The partition to fetch from: in turns where something is due that is tried alone, and where most waits.
    async fn most_urgent(&mut self) -> Result<Option<Partition>, LinkError> {
        let all: Vec<_> = self.keyspace.all().collect();
        if let [only] = all[..] {
            return Ok(Some(only));
        }
        let is_turn_of_due = self.is_turn_of_due();
        let mut commands = Commands::new();
        for partition in &all {
            commands.cmd("LLEN").arg(self.key(*partition, Part::Wait));
            commands.cmd("ZCARD").arg(self.key(*partition, Part::Delayed));
        }
        let replies = self.ask(&commands).await?;
        let urgency = |replies: &[Reply]| {
            let [waiting, delayed] = replies else { return (0, 0) };
            let (waiting, delayed) = (number(waiting), number(delayed));
            if is_turn_of_due { (delayed, waiting) } else { (waiting, delayed) }
        };
        let most = all.into_iter().zip(replies.chunks(2).map(urgency)).max_by_key(|(_, urgency)| *urgency);
        Ok(most.filter(|(_, urgency)| *urgency > (0, 0)).map(|(partition, _)| partition))
    }

    /// What is tried alone and what waits take turns, so that neither holds the other up, however many they are.
    fn is_turn_of_due(&self) -> bool {
        self.batches.is_multiple_of(2)
    }

    /// Adds what fetches a batch; returns its name.
    async fn add_fetch(
        &mut self,
        partition: Partition,
        least: usize,
        commands: &mut Commands,
    ) -> Result<String, LinkError> {
        let is_turn_of_due = u8::from(self.is_turn_of_due());
        self.batches += 1;
        let name = format!("{}:{}", self.worker, self.batches);
        let batch = self.batch(partition, &name);
        let parts = [Part::Wait, Part::Delayed, Part::Lease, Part::Bytes];
        let [wait, delayed, lease, bytes] = parts.map(|part| self.key(partition, part));
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Fetch, &[wait, delayed, batch.clone(), lease, bytes], commands);
        call.arg(BATCH_MAX).arg(LEASE.as_millis() as u64).arg(&name).arg(is_turn_of_due).arg(least).arg(BATCH_LEN_MAX);
        // What is in it comes by itself: through a script it would be copied three times.
        commands.cmd("LRANGE").arg(&batch).arg(0).arg(-1);
        Ok(name)
    }

    /// What a fetch came to. When that was not heard, perhaps there is a batch that nobody has.
    fn fetched(
        &mut self,
        partition: Partition,
        name: String,
        reply: Result<Option<Reply>, LinkError>,
    ) -> Result<Option<Batch>, LinkError> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.unheard.push((partition, name));
                return Err(error);
            }
        };
        let jobs: Vec<_> = reply.into_iter().flat_map(replies::list).map(Carried::parse).collect();
        Ok((!jobs.is_empty()).then_some(Batch { partition, name, jobs }))
    }

    /// Gives back batches of which it was not heard that they were fetched.
    pub(super) async fn release_unheard(&mut self) -> Result<(), LinkError> {
        while let Some((partition, name)) = self.unheard.last().cloned() {
            self.release_named(partition, &name).await?;
            self.unheard.pop();
        }
        Ok(())
    }

    /// Ends a batch; returns the time, or `None` when the lease had been lost. What waits in the same partition is
    /// fetched in the same round trip, when so many at least are wanted: there is somebody now who has nothing to do.
    pub(super) async fn settle(
        &mut self,
        batch: &Batch,
        fates: &[Fate],
        wanted: Option<usize>,
    ) -> Result<(Option<Timestamp>, Option<Batch>), LinkError> {
        let partition = batch.partition;
        let parts = [Part::Lease, Part::Pending, Part::Bytes, Part::Done, Part::Delayed, Part::Dead];
        let mut keys = vec![self.batch(partition, &batch.name)];
        keys.extend(parts.map(|part| self.key(partition, part)));
        let mut commands = Commands::new();
        let (_, scripts) = self.connected().await?;
        let call = scripts.call(Script::Settle, &keys, &mut commands);
        Settlement::of(&batch.jobs, fates).tell(call.arg(&batch.name));
        // Where there are several it may be more urgent elsewhere.
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

    /// Gives a batch back as it was.
    pub(super) async fn release(&mut self, batch: &Batch) -> Result<(), LinkError> {
        self.release_named(batch.partition, &batch.name).await
    }

    async fn release_named(&mut self, partition: Partition, name: &str) -> Result<(), LinkError> {
        let parts = [Part::Lease, Part::Wait, Part::Delayed].map(|part| self.key(partition, part));
        let keys = [&[self.batch(partition, name)], &parts[..]].concat();
        let released = self.run(Script::Release, &keys, |call| {
            call.arg(name);
        });
        released.await.map(|_| ())
    }

    /// Holds on to batches.
    pub(super) async fn renew(&mut self, batches: &[&Batch]) -> Result<(), LinkError> {
        for partition in self.keyspace.all() {
            let held: Vec<_> = batches.iter().filter(|batch| batch.partition == partition).collect();
            if held.is_empty() {
                continue;
            }
            let leases = [self.key(partition, Part::Lease)];
            let renewed = self.run(Script::Renew, &leases, |call| {
                call.arg(LEASE.as_millis() as u64).args(held.iter().map(|batch| &batch.name));
            });
            renewed.await?;
        }
        Ok(())
    }

    /// Gives back batches whose holders do not renew their leases; returns how many jobs are tried again, and how many
    /// are dead.
    pub(super) async fn reap(&mut self, over: &[(Partition, String)]) -> Result<(u64, u64), LinkError> {
        let (mut waiting, mut dead) = (0, 0);
        for (partition, name) in over.iter().take(REAPED_MAX) {
            let mut first = Commands::new();
            first.cmd("LINDEX").arg(self.batch(*partition, name)).arg(0);
            let first = self.ask(&first).await?.pop().map(Reply::into_bytes).unwrap_or_default();
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

pub(super) fn named(name: JobHeader) -> (String, String) {
    let JobHeader { session, tag: StateTag { epoch, version }, .. } = name;
    (session.to_string(), format!("{epoch}.{version}"))
}
