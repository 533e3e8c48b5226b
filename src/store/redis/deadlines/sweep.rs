//! The sweep: finds deadlines that are overdue although their instance should have fired them, because it
//! died. Does not know how they are fired.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::engine::{SessionId, Timestamp, Uuid};
use crate::redis::{Partition, Pipeline, RedisError, resp::Value};
use crate::runtime::time;
use crate::store::metrics::{Operation, Rejected, Role};
use crate::store::redis::connection::{Connector, LazyConnection, RoundTrip};
use crate::store::redis::health::Inspection;
use crate::store::redis::jitter;
use crate::store::redis::replies;
use crate::store::redis::time::agreement;
use crate::supervision::panic_point;

use super::timers::Timers;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often to look for a server that does not answer.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// How long a deadline must be overdue, at least and at most: the instance that set it fires it at once.
const OVERDUE_US: (u64, u64) = (50_000, 150_000);
/// Overdue sessions of a partition that are taken up at once.
const FOUND_MAX: usize = 1_024;

/// Hands what it finds to the timers; runs until it is dropped, or is of no use.
pub(in crate::store::redis) async fn sweep(connector: &Arc<Connector>, timers: &Timers) {
    let (mut connection, mut round) = (LazyConnection::new(Arc::clone(connector), Role::Sweep), 0);
    loop {
        panic_point("upkeep", "");
        let looked = look(connector, timers, &mut connection, round).await;
        round += 1;
        connector.checked(&looked);
        let pause = match looked {
            Ok(()) => {
                connector.look_again().await;
                INTERVAL
            }
            Err(_) if connector.health().server.is_misled() => return,
            Err(error) => {
                connector.failed(&error);
                connection.discard();
                RETRY_INTERVAL
            }
        };
        time::sleep(pause).await;
    }
}

async fn look(
    connector: &Connector,
    timers: &Timers,
    connection: &mut LazyConnection,
    round: u64,
) -> Result<(), RedisError> {
    let (keyspace, server_clock, health) = (connector.keyspace(), connector.server_clock(), connector.health());
    let overdue = jitter::between_us(OVERDUE_US.0, OVERDUE_US.1).as_millis() as u64;
    let until_ms = server_clock.now().as_ms().saturating_sub(overdue);
    let (mut commands, mut mend) = (Pipeline::new(), Pipeline::new());
    for partition in keyspace.all() {
        let key = keyspace.deadlines(partition);
        commands.cmd("ZRANGE").arg(key).arg("-inf").arg(until_ms).arg("BYSCORE");
        commands.arg("LIMIT").arg(0).arg(FOUND_MAX).arg("WITHSCORES");
    }
    let inspection = Inspection::begin(keyspace, &health.faults, server_clock, round, &mut commands);
    let RoundTrip { replies, sent, received } = connection.ask(Operation::Sweep, &commands).await?;
    let mut replies = replies.into_iter();
    for partition in keyspace.all() {
        match replies::next(&mut replies)? {
            Value::List(found) => take_up(connector, timers, partition, &found, &mut mend),
            Value::Error(why) if why.starts_with("WRONGTYPE") => {
                let key = keyspace.deadlines(partition);
                health.fault(partition, format!("the key {key:?} in Redis is of another type than zset"));
            }
            other @ (Value::Nil | Value::Int(_) | Value::Status(_) | Value::Text(_) | Value::Error(_)) => {
                return Err(RedisError::Server(other.error().map_or_else(|| format!("{other:?}"), str::to_owned)));
            }
        }
    }
    let looks_at_clock = inspection.clock;
    inspection.end(keyspace, &health.faults, &mut replies, &mut mend)?;
    if looks_at_clock && let Some(proposal) = agreement::looked(server_clock, &mut replies, sent, received)? {
        agreement::propose(server_clock, keyspace, connection.made().await?, proposal).await?;
    }
    if !mend.is_empty() {
        // What is refused is found again.
        connection.ask(Operation::Sweep, &mend).await?;
    }
    Ok(())
}

/// Hands members of the index to the timers. A member that names no session hides others behind it, and is removed. A
/// session whose deadline is no time is settled now, which writes its own deadline.
fn take_up(connector: &Connector, timers: &Timers, partition: Partition, found: &[Value], mend: &mut Pipeline) {
    let keyspace = connector.keyspace();
    let mut junk = 0_u64;
    for pair in found.chunks(2) {
        let [name, score] = pair else { continue };
        let id = name.text().and_then(Uuid::parse).map(SessionId);
        let id = id.filter(|id| name.text().is_some_and(|name| name.as_bytes() == id.0.text()));
        let id = id.filter(|id| keyspace.partition(*id) == partition);
        let deadline = score.number().map(Timestamp::from_ms);
        match id {
            Some(id) => timers.found(id, deadline.unwrap_or_default()),
            None => {
                let (Value::Text(name) | Value::Status(name)) = name else { continue };
                mend.cmd("ZREM").arg(keyspace.deadlines(partition)).arg(&name[..]);
            }
        }
        if id.is_none() || deadline.is_none() {
            connector.metrics().rejected(Rejected::Deadline);
            junk += 1;
        }
    }
    if junk > 0 {
        warn!(junk, key = keyspace.deadlines(partition), "deadlines of no session, or at no time, are removed");
    }
}
