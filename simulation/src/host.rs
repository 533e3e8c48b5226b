//! A Redis on the network of a simulation: connections to it, the commands that come over them, and the faults that it
//! has. Does not know who connects.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::dice::Dice;
use crate::redis::{ClientId, FakeRedis};
use crate::scheduler::{Process, Scheduler};
use crate::stream::{Connection, Latency, Stream, Writer, connection};

/// How often things go wrong: once in so many times each; `None` is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The connection is cut before a command is carried out.
    pub cut_before: Option<u64>,
    /// The connection is cut after a command was carried out, and its reply is lost.
    pub cut_after: Option<u64>,
    /// A command is carried out late.
    pub stall: Option<u64>,
}

/// A server. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct RedisHost(Arc<Mutex<Host>>);

struct Host {
    scheduler: Scheduler,
    process: Process,
    redis: FakeRedis,
    dice: Dice,
    latency: Latency,
    faults: Faults,
    /// Its clock at the beginning of the run, in microseconds since 1970, and how far it was set since.
    epoch_us: u64,
    clients: BTreeMap<ClientId, ConnectedClient>,
    next_client: u64,
    is_up: bool,
    /// Clients who are sent nothing.
    silenced: BTreeSet<ClientId>,
    /// What clients are to be sent.
    unsent: BTreeMap<ClientId, Vec<u8>>,
}

struct ConnectedClient {
    connection: Connection,
    writer: Writer,
}

/// How long a command that stalls does.
const STALL_MAX: Duration = Duration::from_millis(400);

impl RedisHost {
    /// A server that is up, with what is in `redis`.
    pub fn new(scheduler: &Scheduler, redis: FakeRedis, latency: Latency, epoch_us: u64) -> Self {
        Self(Arc::new(Mutex::new(Host {
            scheduler: scheduler.clone(),
            process: scheduler.process(),
            redis,
            dice: scheduler.dice(),
            latency,
            faults: Faults::default(),
            epoch_us,
            clients: BTreeMap::new(),
            next_client: 0,
            is_up: true,
            silenced: BTreeSet::new(),
            unsent: BTreeMap::new(),
        })))
    }

    /// From now on things go wrong so often.
    pub fn set_faults(&self, faults: Faults) {
        self.host().faults = faults;
    }

    /// Sets its clock on, or back.
    pub fn step_clock(&self, by_us: i64) {
        let mut host = self.host();
        host.epoch_us = host.epoch_us.saturating_add_signed(by_us);
    }

    /// What its clock shows, in microseconds since 1970.
    pub fn now_us(&self) -> u64 {
        self.host().now_us()
    }

    /// What it keeps now.
    pub fn snapshot(&self) -> FakeRedis {
        self.host().redis.clone()
    }

    /// Ends it: all connections are cut.
    pub fn kill(&self) {
        let mut host = self.host();
        host.is_up = false;
        host.process.kill();
        host.unsent.clear();
        host.silenced.clear();
        let clients = std::mem::take(&mut host.clients);
        drop(host);
        clients.values().for_each(|client| client.connection.cut());
    }

    /// Starts it again with what it kept at some time.
    pub fn restart(&self, saved: &FakeRedis, run_id: &str) {
        let mut host = self.host();
        host.redis.restart(saved, run_id);
        host.is_up = true;
    }

    /// Carries out nothing until it is resumed; connections stay.
    pub fn halt(&self) {
        self.host().process.halt();
    }

    /// Goes on.
    pub fn resume(&self) {
        self.host().process.resume();
    }

    /// Does something to what it keeps.
    pub fn with<T>(&self, change: impl FnOnce(&mut FakeRedis) -> T) -> T {
        change(&mut self.host().redis)
    }

    /// Who listens now hears nothing any more, as if its network had lost the connection without a word.
    pub fn silence(&self) {
        let mut host = self.host();
        let listeners: Vec<_> = host.clients.keys().copied().filter(|client| host.redis.listens(*client)).collect();
        host.silenced.extend(listeners);
    }

    /// Cuts all connections, and stays up.
    pub fn cut_all(&self) {
        let clients: Vec<_> = self.host().clients.values().map(|client| client.connection.clone()).collect();
        clients.iter().for_each(Connection::cut);
    }

    /// A connection to it.
    pub fn connect(&self) -> io::Result<Stream> {
        let mut host = self.host();
        if !host.is_up {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let (link, theirs, ours) = connection(&host.scheduler, host.latency);
        let writer = ours.writer();
        host.next_client += 1;
        let client = ClientId(host.next_client);
        host.redis.connect(client);
        let mut reader = ours;
        host.clients.insert(client, ConnectedClient { connection: link, writer });
        let (process, this) = (host.process.clone(), self.clone());
        drop(host);
        process.spawn(async move {
            let mut received = Vec::new();
            while let Ok(1..) = reader.read_buf(&mut received).await {
                let mut done = 0;
                while let Some((words, len)) = request(&received[done..]) {
                    done += len;
                    if !this.carry_out(client, &words).await {
                        // What others were told before is not lost with it.
                        this.send();
                        this.leave(client);
                        return;
                    }
                }
                received.drain(..done);
                this.send();
            }
            this.leave(client);
        });
        Ok(theirs)
    }

    /// Carries out a command; `false` when the connection is cut.
    async fn carry_out(&self, client: ClientId, words: &[Vec<u8>]) -> bool {
        let stall = {
            let mut host = self.host();
            let faults = host.faults;
            if host.is_fault(faults.cut_before) {
                return false;
            }
            let most = u64::try_from(STALL_MAX.as_micros()).unwrap_or(u64::MAX);
            if host.is_fault(faults.stall) { Duration::from_micros(host.dice.below(most)) } else { Duration::ZERO }
        };
        if !stall.is_zero() {
            self.send();
            let scheduler = self.host().scheduler.clone();
            scheduler.sleep(stall).await;
        }
        let mut host = self.host();
        let now_us = host.now_us();
        let deliveries = host.redis.ask(now_us, client, words);
        let faults = host.faults;
        let is_cut = host.is_fault(faults.cut_after);
        for delivery in deliveries {
            // Messages to others go out even if the connection of who published them is cut.
            let to = delivery.client;
            if host.silenced.contains(&to) || to == client && is_cut {
                continue;
            }
            delivery.reply.encode(host.unsent.entry(to).or_default());
        }
        !is_cut
    }

    /// Sends what the commands that were carried out have to say, to each client all at once.
    fn send(&self) {
        let mut host = self.host();
        let unsent = std::mem::take(&mut host.unsent);
        let writers: Vec<_> = unsent
            .into_iter()
            .filter_map(|(client, bytes)| Some((host.clients.get(&client)?.writer.clone(), bytes)))
            .collect();
        // Whoever reads is woken.
        drop(host);
        for (writer, bytes) in writers {
            // A client that has gone reads nothing.
            let _ = writer.write(bytes);
        }
    }

    fn leave(&self, client: ClientId) {
        let mut host = self.host();
        host.redis.disconnect(client);
        host.unsent.remove(&client);
        let gone = host.clients.remove(&client);
        drop(host);
        if let Some(client) = gone {
            client.connection.cut();
        }
    }

    fn host(&self) -> MutexGuard<'_, Host> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    fn is_fault(&mut self, once_in: Option<u64>) -> bool {
        once_in.is_some_and(|times| self.dice.is_one_in(times))
    }

    fn now_us(&self) -> u64 {
        self.epoch_us + u64::try_from(self.scheduler.now().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The first request of some bytes, and how long it is; `None` while it is not complete.
fn request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let (count, mut at) = header(bytes, 0)?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, start) = header(bytes, at)?;
        words.push(bytes.get(start..start + len)?.to_vec());
        at = start + len + 2;
    }
    (bytes.len() >= at).then_some((words, at))
}

/// The number on the line that begins at `at`, behind its first byte, and where the next one begins.
fn header(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|window| window == b"\r\n")?;
    let number = std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok()?;
    Some((number, at + end + 2))
}

#[cfg(test)]
mod tests;
