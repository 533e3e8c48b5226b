//! The sweep: finds deadlines that are overdue although their instance should have fired them, because it
//! died. Does not know how they are fired.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::engine::{SessionId, Timestamp, Uuid};
use crate::redis::{Partition, Pipeline, RedisError, resp::Value};
use crate::store::metrics::{Operation, Rejected, Role};
use crate::store::redis::connection::jitter;
use crate::store::redis::connection::lazy_connection::{LazyConnection, RoundTrip};
use crate::store::redis::connection::replies;
use crate::store::redis::health::inspection::Inspection;
use crate::store::redis::shard_context::ShardContext;
use crate::store::redis::time::agreement;
use crate::supervision::panic_point;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often to look for a server that does not answer.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// How long a deadline must be overdue, at least and at most: the instance that set it fires it at once.
const OVERDUE_US: (u64, u64) = (50_000, 150_000);
/// Overdue sessions of a partition that are taken up at once.
const FOUND_MAX: usize = 1_024;

/// Hands what it finds to the timers; runs until it is dropped, or is of no use.
pub(in crate::store::redis) async fn sweep(shared: &Arc<ShardContext>) {
    let (mut connection, mut round) = (LazyConnection::new(Role::Sweep), 0);
    loop {
        panic_point("upkeep", "");
        let looked = look(shared, &mut connection, round).await;
        round += 1;
        shared.looked(&looked);
        let pause = match looked {
            Ok(()) => INTERVAL,
            Err(_) if shared.is_misled() => return,
            Err(error) => {
                shared.failed(&error);
                connection.discard();
                RETRY_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn look(shared: &Arc<ShardContext>, connection: &mut LazyConnection, round: u64) -> Result<(), RedisError> {
    let overdue = jitter::between_us(OVERDUE_US.0, OVERDUE_US.1).as_millis() as u64;
    let until_ms = shared.estimate().as_ms().saturating_sub(overdue);
    let (mut commands, mut mend) = (Pipeline::new(), Pipeline::new());
    for partition in shared.keyspace.all() {
        let key = shared.keyspace.deadlines(partition);
        commands.cmd("ZRANGE").arg(key).arg("-inf").arg(until_ms).arg("BYSCORE");
        commands.arg("LIMIT").arg(0).arg(FOUND_MAX).arg("WITHSCORES");
    }
    let inspection = Inspection::begin(shared, round, &mut commands);
    let RoundTrip { replies, sent, received } = connection.ask(shared, Operation::Sweep, &commands).await?;
    let mut replies = replies.into_iter();
    for partition in shared.keyspace.all() {
        match replies::next(&mut replies)? {
            Value::List(found) => take_up(shared, partition, &found, &mut mend),
            Value::Error(why) if why.starts_with("WRONGTYPE") => {
                let key = shared.keyspace.deadlines(partition);
                shared.fault(partition, format!("the key {key:?} in Redis is of another type than zset"));
            }
            other @ (Value::Nil | Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::Error(_)) => {
                return Err(RedisError::Server(other.error().map_or_else(|| format!("{other:?}"), str::to_owned)));
            }
        }
    }
    let looks_at_clock = inspection.clock;
    inspection.end(shared, &mut replies, &mut mend)?;
    if looks_at_clock && let Some(proposal) = agreement::looked(shared, &mut replies, sent, received)? {
        agreement::propose(shared, connection.made(shared).await?, proposal).await?;
    }
    if !mend.is_empty() {
        // What is refused is found again.
        connection.ask(shared, Operation::Sweep, &mend).await?;
    }
    Ok(())
}

/// Hands members of the index to the timers. Who has put something there that names no session has hidden others behind
/// it: that is removed. A session whose deadline is no time is looked at now, and then its own is written.
fn take_up(shared: &ShardContext, partition: Partition, found: &[Value], mend: &mut Pipeline) {
    let mut junk = 0_u64;
    for pair in found.chunks(2) {
        let [name, score] = pair else { continue };
        let id = name.text().and_then(Uuid::parse).map(SessionId);
        let id = id.filter(|id| name.text().is_some_and(|name| name.as_bytes() == id.0.text()));
        let id = id.filter(|id| shared.keyspace.partition(*id) == partition);
        let deadline = score.number().map(Timestamp::from_ms);
        match id {
            Some(id) => shared.timers.found(id, deadline.unwrap_or_default()),
            None => {
                let (Value::Text(name) | Value::Status(name)) = name else { continue };
                mend.cmd("ZREM").arg(shared.keyspace.deadlines(partition)).arg(&name[..]);
            }
        }
        if id.is_none() || deadline.is_none() {
            shared.metrics.rejected(Rejected::Deadline);
            junk += 1;
        }
    }
    if junk > 0 {
        warn!(junk, key = shared.keyspace.deadlines(partition), "deadlines of no session, or at no time, are removed");
    }
}
