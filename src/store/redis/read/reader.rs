//! The reader: lookups that wait at the same moment share a round trip. A value is validated as a whole when it is not
//! as it was before, and not parsed. Does not know who asks.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tracing::debug;

use crate::engine::{SessionId, Timestamp};
use crate::redis::{Keyspace, Pipeline, QueueKey, RedisError, resp::Value};
use crate::store::metrics::{Operation, Role};
use crate::store::redis::connection::{Connector, LazyConnection, RoundTrip};
use crate::store::redis::limits;
use crate::store::redis::replies;
use crate::store::redis::time::RawReading;
use crate::store::{PendingAudit, RateLimit, RateLimitStatus, Read, Snapshot, StoreError};
use crate::supervision::panic_point;
use crate::wire::{self, RecordBody};

use super::lookup::{Lookup, ReplyTo, StoredRecord};
use super::validated_values::ValidatedValues;

/// Sessions that are read together at most.
const BATCH_MAX: usize = 256;

/// Answers lookups over one connection until none can come any more. There are so many readers in all.
pub(in crate::store::redis) async fn serve(
    connector: Arc<Connector>,
    mut inbox: OwnedMutexGuard<mpsc::Receiver<Lookup>>,
    readers: usize,
) {
    let mut connection = LazyConnection::new(Arc::clone(&connector), Role::Reads);
    let (connector, mut checked) = (&*connector, ValidatedValues::new(readers));
    while let Some(first) = inbox.recv().await {
        let mut batch = ReadBatch::default();
        batch.add(connector.keyspace(), first);
        panic_point("reader", "");
        while batch.len < BATCH_MAX
            && let Ok(lookup) = inbox.try_recv()
        {
            batch.add(connector.keyspace(), lookup);
        }
        if let Err(error) = batch.look_up(connector, &mut connection, &mut checked).await {
            debug!(%error, "cannot read");
            connector.failed(&error);
            connection.discard();
        }
    }
}

/// Who wants a state, and how much of it.
enum WantedForm {
    Read(ReplyTo<Read>),
    RecordBody(ReplyTo<StoredRecord>),
}

/// The lookups of one round trip. Those that are not answered when it is dropped fail as unavailable.
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
    fn add(&mut self, keyspace: &Keyspace, lookup: Lookup) {
        self.len += 1;
        match lookup {
            Lookup::State(id, reply) => {
                self.keys.push(keyspace.session(id));
                self.states.push((id, WantedForm::Read(reply)));
            }
            Lookup::RecordBody(id, reply) => {
                self.keys.push(keyspace.session(id));
                self.states.push((id, WantedForm::RecordBody(reply)));
            }
            Lookup::PendingAudit(id, reply) => self.queued.push((id, reply)),
            Lookup::Time(reply) => self.times.push(reply),
            Lookup::Run(reply) => self.runs.push(reply),
            Lookup::Probe(channel) => self.probes.push(channel),
            Lookup::Count(client, rate, reply) => {
                self.counts.push((keyspace.general_limit(client), rate, reply));
            }
        }
    }

    /// Asks Redis, then answers every lookup. A connection that had served before may have been lost
    /// while it was idle: then Redis is asked once more, but no hit is counted twice.
    async fn look_up(
        mut self,
        connector: &Connector,
        connection: &mut LazyConnection,
        checked: &mut ValidatedValues,
    ) -> Result<(), RedisError> {
        let was_used = connection.is_made();
        let mut asked = connection.ask(Operation::Read, &self.commands(connector.keyspace())).await;
        if let Err(RedisError::Io(_) | RedisError::Moved(_)) = asked
            && was_used
        {
            self.counts.clear();
            asked = connection.ask(Operation::Read, &self.commands(connector.keyspace())).await;
        }
        if let Err(RedisError::TryAgain(_)) = asked {
            self.counts.clear();
            self.is_moving = true;
            asked = connection.ask_following(&self.commands(connector.keyspace())).await;
        }
        let RoundTrip { replies, sent, received } = asked?;
        let run_id = connection.run_id().await?;
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
        let now = connector.server_clock().read(raw).now();
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
                    connector.health().reject(id, &connector.keyspace().session(id), &value, &why);
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

    fn commands(&self, keyspace: &Keyspace) -> Pipeline {
        let mut commands = Pipeline::new();
        for (key, rate, _) in &self.counts {
            limits::count(&mut commands, key, *rate);
        }
        for channel in &self.probes {
            commands.cmd(keyspace.publish()).arg(channel).arg("");
        }
        for (id, _) in &self.queued {
            let part = |part| keyspace.queue(keyspace.partition(*id), part);
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
        Ok((deadline, RecordBody::State(tag, body))) => {
            Ok(Read { snapshot: Some(Snapshot { tag, deadline, body }), is_tombstoned: false, now })
        }
        Ok((_, RecordBody::Tombstone(_))) => Ok(Read { snapshot: None, is_tombstoned: true, now }),
        Err(wire::NotARecord) if wire::is_newer(&value) => Err(StoreError::Newer),
        Err(wire::NotARecord) => Err(StoreError::Unreadable),
    }
}
