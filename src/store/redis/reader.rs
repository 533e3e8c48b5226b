//! Reads: whoever asks at the same moment shares one round trip. What is read is not parsed. Does not know
//! who asks.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::engine::{SessionId, Timestamp};
use crate::redis::{Link, LinkError};
use crate::store::{Quota, Rate, Read, Snapshot, StoreError};
use crate::wire::{self, Kept};

use super::Shared;
use super::authority::Reading;
use super::{limits, replies};

/// Sessions that are read together at most.
const BATCH_MAX: usize = 256;

/// Where an answer is waited for.
type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something that is asked without changing a session.
pub(super) enum Lookup {
    /// The state of a session.
    State(SessionId, Reply<Read>),
    /// The time.
    Time(Reply<Timestamp>),
    /// One more hit on a limit.
    Count(IpAddr, Rate, Reply<Quota>),
    /// Something published on a channel, for whoever listens to it.
    Probe(String),
}

/// Asks one of the readers, and waits for its answer.
pub(super) async fn ask<T>(
    readers: &[mpsc::Sender<Lookup>],
    lookup: impl FnOnce(Reply<T>) -> Lookup,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    // The emptier one: neither is ever far behind.
    let reader = readers.iter().max_by_key(|reader| reader.capacity()).ok_or(AWAY)?;
    reader.try_send(lookup(reply)).map_err(|_| StoreError::Unavailable("too many reads are waiting"))?;
    answer.await.unwrap_or(Err(AWAY))
}

const AWAY: StoreError = StoreError::Unavailable("the store does not answer");

/// Answers over one connection until nobody can ask any more.
pub(super) async fn read(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Lookup>) {
    let mut link = None;
    while let Some(first) = inbox.recv().await {
        let mut batch = Batch::default();
        batch.add(&shared, first);
        while batch.len < BATCH_MAX
            && let Ok(lookup) = inbox.try_recv()
        {
            batch.add(&shared, lookup);
        }
        if let Err(error) = batch.look_up(&shared, &mut link).await {
            debug!(%error, "cannot read");
            link = None;
        }
    }
}

/// What is asked in one round trip. Whoever is not answered when it is dropped learns that the store is away.
#[derive(Default)]
struct Batch {
    len: usize,
    keys: Vec<String>,
    states: Vec<Reply<Read>>,
    times: Vec<Reply<Timestamp>>,
    probes: Vec<String>,
    counts: Vec<(String, Rate, Reply<Quota>)>,
}

impl Batch {
    fn add(&mut self, shared: &Shared, lookup: Lookup) {
        self.len += 1;
        match lookup {
            Lookup::State(id, reply) => {
                self.keys.push(shared.keyspace.session(id));
                self.states.push(reply);
            }
            Lookup::Time(reply) => self.times.push(reply),
            Lookup::Probe(channel) => self.probes.push(channel),
            Lookup::Count(client, rate, reply) => {
                self.counts.push((shared.keyspace.general_limit(client), rate, reply));
            }
        }
    }

    /// Asks Redis, then tells everybody what they asked.
    async fn look_up(self, shared: &Shared, link: &mut Option<Link>) -> Result<(), LinkError> {
        let link = match link {
            Some(link) => link,
            None => link.insert(shared.connect().await?),
        };
        let mut commands = redis::pipe();
        for (key, rate, _) in &self.counts {
            limits::count(&mut commands, key, *rate);
        }
        for channel in &self.probes {
            commands.cmd("PUBLISH").arg(channel).arg("");
        }
        if !self.keys.is_empty() {
            commands.cmd("MGET").arg(&self.keys);
        }
        commands.cmd("TIME");
        let sent = shared.clock.moment();
        let mut replies = link.ask(&commands).await?.into_iter();
        let received = shared.clock.moment();
        for (_, rate, reply) in self.counts {
            let _ = reply.send(Ok(limits::counted(&mut replies, rate)?));
        }
        for _ in &self.probes {
            replies::next(&mut replies)?;
        }
        let values = if self.keys.is_empty() { Vec::new() } else { replies::values(replies::next(&mut replies)?)? };
        let reading = Reading { time_us: replies::time_us(&replies::next(&mut replies)?)?, sent, received };
        shared.authority.learn(&reading);
        let now = reading.now();
        for reply in self.times {
            let _ = reply.send(Ok(now));
        }
        for (reply, value) in self.states.into_iter().zip(values) {
            let _ = reply.send(snapshot(value).map(|snapshot| Read { snapshot, now }));
        }
        Ok(())
    }
}

/// What is kept, as it is.
fn snapshot(value: Option<Bytes>) -> Result<Option<Snapshot>, StoreError> {
    let Some(value) = value else { return Ok(None) };
    match wire::glance(&value) {
        Ok((deadline, Kept::State(tag, members))) => Ok(Some(Snapshot { tag, deadline, members })),
        Ok((_, Kept::Tombstone(_))) => Ok(None),
        Err(wire::NotStored) => Err(StoreError::Unreadable),
    }
}
