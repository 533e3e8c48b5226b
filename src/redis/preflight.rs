//! The preflight check of a server: what would fail or get lost later is reported before anything is kept there. Does
//! not know what is kept.

use crate::redis::protocol::pipeline::Pipeline;
use crate::redis::protocol::resp::Value;

use super::acl;
use super::connection::RedisConnection;
use super::error::{Misconfigured, RedisError};
use super::info::field;
use super::keyspace::{Keyspace, Partition, QueueKey};

/// The policy under which Redis forgets nothing to make room.
const NO_EVICTION: &str = "noeviction";
/// The warning about a server without an append-only file, which loses what it has not saved when it restarts.
const NOT_DURABLE: &str = "Redis has appendonly no: acknowledged changes are lost when it restarts";

/// A number that no queue comes near, and that many more can be added to.
const ADDABLE_MAX: i64 = i64::MAX / 2;

/// What the preflight check of a usable server found.
pub struct PreflightReport {
    /// For people; logged once.
    pub warnings: Vec<&'static str>,
    /// Partitions with a key that changes cannot be written to, and why.
    pub faults: Vec<(Partition, String)>,
}

/// Checks a server; `Err` when it is not to be used. Stores the number of partitions unless it is stored already.
pub async fn preflight(connection: &mut RedisConnection, keyspace: &Keyspace) -> Result<PreflightReport, RedisError> {
    let misconfigured = |why, is_lasting| Err(RedisError::Misconfigured(Misconfigured { why, is_lasting }));
    if let Some(partition) = keyspace.all().next()
        && let Some(why) = acl::missing_permissions(connection, keyspace, partition).await?
    {
        return misconfigured(why, false);
    }
    let mut commands = Pipeline::new();
    commands.cmd("INFO").arg("memory").arg("persistence");
    let ours = [
        (keyspace.partition_count(), "string"),
        (keyspace.instances(), "zset"),
        (keyspace.revoked(), "zset"),
        (keyspace.revocation_count(), "string"),
    ];
    for (key, _) in &ours {
        commands.cmd("TYPE").arg(key);
    }
    keyspace.all().for_each(|partition| query_key_types(&mut commands, keyspace, partition));
    let replies = connection.ask(&commands).await?;
    let refusal = |reply: &Value| reply.error().filter(|why| !why.starts_with("WRONGTYPE")).map(str::to_owned);
    if let Some(why) = replies.iter().find_map(refusal) {
        return Err(RedisError::Server(why));
    }
    let mut replies = replies.into_iter();
    let info = replies.next().unwrap_or(Value::Nil);
    let info = info.text().unwrap_or_default();
    for (key, kind) in &ours {
        if let Some(why) = of_another_kind(key, kind, replies.next().as_ref()) {
            return misconfigured(why, false);
        }
    }
    let check = |partition| Some((partition, check_key_types(keyspace, partition, &mut replies)?));
    let faults: Vec<_> = keyspace.all().filter_map(check).collect();
    if faults.len() == keyspace.all().count()
        && let Some((_, why)) = faults.first()
    {
        return misconfigured(why.clone(), false);
    }
    let policy = field(info, "maxmemory_policy").unwrap_or(NO_EVICTION);
    if policy != NO_EVICTION {
        return misconfigured(format!("Redis has maxmemory-policy {policy}; it must be {NO_EVICTION}"), false);
    }
    let ours = keyspace.partitions().to_string();
    let mut claim = Pipeline::new();
    claim.cmd("SET").arg(keyspace.partition_count()).arg(&ours).arg("NX").cmd("GET").arg(keyspace.partition_count());
    let replies = connection.ask(&claim).await?;
    let theirs = replies.last().and_then(Value::text).unwrap_or_default();
    if theirs.is_empty() {
        let why = replies.iter().find_map(Value::error).unwrap_or("SET kept nothing");
        return Err(RedisError::Server(why.to_owned()));
    }
    if theirs != ours {
        return misconfigured(format!("Redis holds {theirs} partitions, and PARTITIONS says {ours}"), true);
    }
    let is_kept = field(info, "aof_enabled") != Some("0");
    Ok(PreflightReport { warnings: if is_kept { Vec::new() } else { vec![NOT_DURABLE] }, faults })
}

/// The keys of a partition that changes are written to, and their types.
fn kinds(keyspace: &Keyspace, partition: Partition) -> impl Iterator<Item = (String, &'static str)> {
    let queue = QueueKey::ALL.into_iter().map(move |part| (keyspace.queue(partition, part), part.kind()));
    std::iter::once((keyspace.deadlines(partition), "zset")).chain(queue)
}

/// Queries whether changes can be written to the keys of a partition: a key of another type, or a number that cannot be
/// added to, would fail inside a transaction, which Redis does not roll back.
pub fn query_key_types(commands: &mut Pipeline, keyspace: &Keyspace, partition: Partition) {
    for (key, _) in kinds(keyspace, partition) {
        commands.cmd("TYPE").arg(key);
    }
    commands.cmd("GET").arg(keyspace.queue(partition, QueueKey::Bytes));
}

/// Why changes cannot be written to the keys of a partition, from the replies to [`query_key_types`].
pub fn check_key_types(
    keyspace: &Keyspace,
    partition: Partition,
    replies: &mut impl Iterator<Item = Value>,
) -> Option<String> {
    let mut why = None;
    for (key, expected) in kinds(keyspace, partition) {
        let reply = replies.next();
        why = why.or_else(|| of_another_kind(&key, expected, reply.as_ref()));
    }
    let bytes = replies.next().unwrap_or(Value::Nil);
    let number = match &bytes {
        Value::Text(number) if !is_addable(number) => Some(number),
        Value::Text(_) | Value::Nil | Value::Int(_) | Value::Status(_) | Value::List(_) | Value::Error(_) => None,
    };
    why.or_else(|| number.map(|_| not_addable(&keyspace.queue(partition, QueueKey::Bytes))))
}

/// Says that a key holds a number that cannot be added to, or none.
pub fn not_addable(key: &str) -> String {
    format!("the key {key:?} in Redis holds no number that can be added to")
}

/// Whether Redis adds to a number that is written so.
pub fn is_addable(number: &[u8]) -> bool {
    let text = std::str::from_utf8(number).unwrap_or_default();
    text.parse::<i64>().is_ok_and(|number| number <= ADDABLE_MAX && number.to_string() == text)
}

fn of_another_kind(key: &str, expected: &str, reply: Option<&Value>) -> Option<String> {
    let kind = reply.and_then(Value::text).unwrap_or_default();
    let is_right = kind == expected || kind == "none";
    (!is_right).then(|| format!("the key {key:?} in Redis is of type {kind}, not {expected}"))
}
