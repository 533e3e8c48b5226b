//! Reads: whoever asks at the same moment shares one round trip. What is read is looked at as a whole when it is not as
//! it was before, and not parsed. Does not know who asks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};
use tracing::debug;

use crate::client_address::ClientAddress;
use crate::engine::{SessionId, Timestamp};
use crate::redis::{Pipeline, QueueKey, RedisError, resp::Value};
use crate::store::metrics::{Operation, Role};
use crate::store::redis::connection::lazy_connection::{LazyConnection, RoundTrip};
use crate::store::redis::connection::limits;
use crate::store::redis::connection::replies;
use crate::store::redis::shard_context::ShardContext;
use crate::store::redis::time::RawReading;
use crate::store::{PendingAudit, RateLimit, RateLimitStatus, Read, Snapshot, StoreError};
use crate::supervision::panic_point;
use crate::wire::{self, RecordBody};

use super::validated_values::ValidatedValues;

/// Sessions that are read together at most.
const BATCH_MAX: usize = 256;

/// Where an answer is waited for.
pub(in crate::store::redis) type ReplyTo<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something that is asked without changing a session.
pub(in crate::store::redis) enum Lookup {
    /// The state of a session.
    State(SessionId, ReplyTo<Read>),
    /// The state of a session, deleted ones included.
    RecordBody(SessionId, ReplyTo<StoredRecord>),
    /// What of a session waits to be audited.
    PendingAudit(SessionId, ReplyTo<PendingAudit>),
    /// The time.
    Time(ReplyTo<Timestamp>),
    /// The run of the server.
    Run(ReplyTo<Arc<str>>),
    /// One more hit on a limit.
    Count(ClientAddress, RateLimit, ReplyTo<RateLimitStatus>),
    /// Something published on a channel, for whoever listens to it.
    Probe(String),
}

/// What is kept of a session.
pub(in crate::store::redis) struct StoredRecord {
    /// With its deadline.
    pub(in crate::store::redis) kept: Option<(Option<Timestamp>, RecordBody)>,
    /// When that was written.
    pub(in crate::store::redis) written_at: Option<Timestamp>,
    /// The server clock's time at reading.
    pub(in crate::store::redis) now: Timestamp,
}

/// Asks one of the readers, and waits for its answer, but not for ever.
pub(in crate::store::redis) async fn ask<T>(
    readers: &[mpsc::Sender<Lookup>],
    patience: Duration,
    lookup: impl FnOnce(ReplyTo<T>) -> Lookup,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, begin(readers, lookup)?).await {
        Ok(answered) => answered.unwrap_or(Err(AWAY)),
        Err(_) => Err(AWAY),
    }
}

/// Asks one of the readers; the answer comes later.
pub(in crate::store::redis) fn begin<T>(
    readers: &[mpsc::Sender<Lookup>],
    lookup: impl FnOnce(ReplyTo<T>) -> Lookup,
) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
    let (reply, answer) = oneshot::channel();
    // The emptier one: neither is ever far behind.
    let reader = readers.iter().max_by_key(|reader| reader.capacity()).ok_or(AWAY)?;
    reader.try_send(lookup(reply)).map_err(|_| StoreError::Unavailable("too many reads are waiting"))?;
    Ok(answer)
}

const AWAY: StoreError = StoreError::Unavailable("the store does not answer");

/// Answers over one connection until nobody can ask any more.
pub(in crate::store::redis) async fn serve(
    shared: Arc<ShardContext>,
    mut inbox: OwnedMutexGuard<mpsc::Receiver<Lookup>>,
    readers: usize,
) {
    let (mut connection, mut checked) = (LazyConnection::new(Role::Reads), ValidatedValues::new(readers));
    while let Some(first) = inbox.recv().await {
        let mut batch = ReadBatch::default();
        batch.add(&shared, first);
        panic_point("reader", "");
        while batch.len < BATCH_MAX
            && let Ok(lookup) = inbox.try_recv()
        {
            batch.add(&shared, lookup);
        }
        if let Err(error) = batch.look_up(&shared, &mut connection, &mut checked).await {
            debug!(%error, "cannot read");
            shared.failed(&error);
            connection.discard();
        }
    }
}

/// Who wants a state, and how much of it.
enum WantedForm {
    Read(ReplyTo<Read>),
    RecordBody(ReplyTo<StoredRecord>),
}

/// What is asked in one round trip. Whoever is not answered when it is dropped learns that the store is away.
#[derive(Default)]
struct ReadBatch {
    len: usize,
    /// Keys are on their way to another server, so that each is asked for by itself.
    is_moving: bool,
    keys: Vec<String>,
    states: Vec<(SessionId, WantedForm)>,
    times: Vec<ReplyTo<Timestamp>>,
    runs: Vec<ReplyTo<Arc<str>>>,
    queued: Vec<(SessionId, ReplyTo<PendingAudit>)>,
    probes: Vec<String>,
    counts: Vec<(String, RateLimit, ReplyTo<RateLimitStatus>)>,
}

impl ReadBatch {
    fn add(&mut self, shared: &ShardContext, lookup: Lookup) {
        self.len += 1;
        match lookup {
            Lookup::State(id, reply) => {
                self.keys.push(shared.keyspace.session(id));
                self.states.push((id, WantedForm::Read(reply)));
            }
            Lookup::RecordBody(id, reply) => {
                self.keys.push(shared.keyspace.session(id));
                self.states.push((id, WantedForm::RecordBody(reply)));
            }
            Lookup::PendingAudit(id, reply) => self.queued.push((id, reply)),
            Lookup::Time(reply) => self.times.push(reply),
            Lookup::Run(reply) => self.runs.push(reply),
            Lookup::Probe(channel) => self.probes.push(channel),
            Lookup::Count(client, rate, reply) => {
                self.counts.push((shared.keyspace.general_limit(client), rate, reply));
            }
        }
    }

    /// Asks Redis, then tells everybody what they asked. A connection that had served before may have been lost
    /// while nobody used it: then it is asked once more, but nothing is counted twice.
    async fn look_up(
        mut self,
        shared: &Arc<ShardContext>,
        connection: &mut LazyConnection,
        checked: &mut ValidatedValues,
    ) -> Result<(), RedisError> {
        let was_used = connection.is_made();
        let mut asked = connection.ask(shared, Operation::Read, &self.commands(shared)).await;
        if let Err(RedisError::Io(_) | RedisError::Moved(_)) = asked
            && was_used
        {
            self.counts.clear();
            asked = connection.ask(shared, Operation::Read, &self.commands(shared)).await;
        }
        if let Err(RedisError::TryAgain(_)) = asked {
            self.counts.clear();
            self.is_moving = true;
            asked = connection.ask_following(shared, &self.commands(shared)).await;
        }
        let RoundTrip { replies, sent, received } = asked?;
        let run_id = connection.run_id(shared).await?;
        let mut replies = replies.into_iter();
        for (_, rate, reply) in self.counts {
            let _ = reply.send(limits::counted(&mut replies, rate).map(|counted| counted.quota));
        }
        for _ in &self.probes {
            replies::next(&mut replies)?;
        }
        for (_, reply) in self.queued {
            let pending = replies::next(&mut replies)?;
            let out_of_order = [replies::next(&mut replies)?, replies::next(&mut replies)?];
            let _ = reply.send(Ok(replies::queued(&pending, &out_of_order)));
        }
        let values = match (self.keys.len(), self.is_moving) {
            (0, _) => Vec::new(),
            (count, false) => replies::values(replies::next(&mut replies)?, count)?,
            (count, true) => replies::values(Value::List(replies.by_ref().take(count).collect()), count)?,
        };
        let raw = RawReading { us: replies::time_us(&replies::next(&mut replies)?)?, sent, received };
        let now = shared.server_clock.read(raw).now();
        for reply in self.times {
            let _ = reply.send(Ok(now));
        }
        for reply in self.runs {
            let _ = reply.send(Ok(Arc::clone(&run_id)));
        }
        for ((id, want), value) in self.states.into_iter().zip(values) {
            let admit = |value: Bytes| {
                if wire::is_newer(&value) {
                    return Ok(Bytes::copy_from_slice(&value));
                }
                let value = wire::modern(value);
                let admitted = checked.admit(id, &value, |value| wire::check_record(value, id));
                admitted.map_err(|why| {
                    shared.reject(id, &value, &why);
                    StoreError::Unreadable
                })
            };
            let value = value.map(admit).transpose();
            match want {
                WantedForm::Read(reply) => {
                    let _ = reply.send(value.and_then(|value| read(value, now)));
                }
                WantedForm::RecordBody(reply) => {
                    let found = value.and_then(|value| {
                        let written_at = value.as_ref().and_then(wire::written_at);
                        let kept = value.map(|value| wire::peek(&value)).transpose();
                        let found = |kept| StoredRecord { kept, written_at, now };
                        kept.map(found).map_err(|wire::NotARecord| StoreError::Unreadable)
                    });
                    let _ = reply.send(found);
                }
            }
        }
        Ok(())
    }

    fn commands(&self, shared: &ShardContext) -> Pipeline {
        let mut commands = Pipeline::new();
        for (key, rate, _) in &self.counts {
            limits::count(&mut commands, key, *rate);
        }
        for channel in &self.probes {
            commands.cmd(shared.keyspace.publish()).arg(channel).arg("");
        }
        for (id, _) in &self.queued {
            let part = |part| shared.keyspace.queue(shared.keyspace.partition(*id), part);
            commands.cmd("HMGET").arg(part(QueueKey::Pending)).arg(id.to_string()).arg(format!("{id}:apart"));
            commands.cmd("ZCARD").arg(part(QueueKey::Lease)).cmd("ZCARD").arg(part(QueueKey::Delayed));
        }
        if self.is_moving {
            for key in &self.keys {
                commands.cmd("GET").arg(key);
            }
        } else if !self.keys.is_empty() {
            commands.cmd("MGET").args(&self.keys);
        }
        commands.cmd("TIME");
        commands
    }
}

/// What is kept, as it is.
fn read(value: Option<Bytes>, now: Timestamp) -> Result<Read, StoreError> {
    let Some(value) = value else { return Ok(Read { snapshot: None, is_tombstoned: false, now }) };
    match wire::peek(&value) {
        Ok((deadline, RecordBody::State(tag, members))) => {
            Ok(Read { snapshot: Some(Snapshot { tag, deadline, members }), is_tombstoned: false, now })
        }
        Ok((_, RecordBody::Tombstone(_))) => Ok(Read { snapshot: None, is_tombstoned: true, now }),
        Err(wire::NotARecord) if wire::is_newer(&value) => Err(StoreError::Newer),
        Err(wire::NotARecord) => Err(StoreError::Unreadable),
    }
}
