//! Whether a server can be used as it is: what would fail or get lost later is said before anything is kept
//! there. Does not know what is kept.

use redis::Value;

use super::{Keyspace, Link, LinkError, Queue};

/// The policy under which Redis forgets nothing to make room.
const NO_EVICTION: &str = "noeviction";

/// Why a server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// For people.
    pub why: String,
    /// Waiting does not help: this process was told something that is not so.
    pub is_lasting: bool,
}

/// Looks at the server; `None` when it can be used. Writes down how many partitions there are if nobody has.
pub async fn unfit(link: &mut Link, keyspace: &Keyspace) -> Result<Option<Unfit>, LinkError> {
    if link.is_misplaced() {
        let why = "the server and REDIS_URL do not agree whether it is one of a Cluster: redis+cluster:// says so";
        return Ok(Some(Unfit { why: why.to_owned(), is_lasting: true }));
    }
    // A key of another type would fail inside a transaction, which Redis does not roll back.
    let mut kinds = vec![(keyspace.partition_count(), "string")];
    for partition in keyspace.all() {
        kinds.push((keyspace.deadlines(partition), "zset"));
        kinds.extend(Queue::ALL.map(|part| (keyspace.queue(partition, part), part.kind())));
    }
    let mut commands = redis::pipe();
    for (key, _) in &kinds {
        commands.cmd("TYPE").arg(key);
    }
    commands.cmd("INFO").arg("memory");
    let mut replies = link.ask(&commands).await?;
    let memory = replies.pop();
    let for_now = |why| Ok(Some(Unfit { why, is_lasting: false }));
    for ((key, expected), reply) in kinds.iter().zip(&replies) {
        let kind = text(reply);
        if kind != *expected && kind != "none" {
            return for_now(format!("the key {key:?} in Redis is of type {kind}, not {expected}"));
        }
    }
    let memory = memory.as_ref().map(text).unwrap_or_default();
    let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).unwrap_or(NO_EVICTION);
    if policy != NO_EVICTION {
        return for_now(format!("Redis has maxmemory-policy {policy}; it must be {NO_EVICTION}"));
    }
    let ours = keyspace.partitions().to_string();
    let mut claim = redis::pipe();
    claim.cmd("SET").arg(keyspace.partition_count()).arg(&ours).arg("NX").arg("GET");
    let kept = link.ask(&claim).await?;
    let theirs = kept.first().map(text).unwrap_or_default();
    if theirs.is_empty() || theirs == ours {
        return Ok(None);
    }
    let why = format!("Redis holds {theirs} partitions, and PARTITIONS says {ours}");
    Ok(Some(Unfit { why, is_lasting: true }))
}

/// What a reply says; nothing when it says nothing.
fn text(reply: &Value) -> String {
    redis::from_redis_value_ref::<Option<String>>(reply).ok().flatten().unwrap_or_default()
}
