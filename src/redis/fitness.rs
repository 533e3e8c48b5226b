//! Whether a server can be used as it is: what would fail or get lost later is said before anything is kept
//! there. Does not know what is kept.

use super::commands::Commands;
use super::link::{LinkError, Unfit};
use super::reply::Reply;
use super::{Keyspace, Link, Queue, privileges};

/// The policy under which Redis forgets nothing to make room.
const NO_EVICTION: &str = "noeviction";
/// What should be known of a server that keeps nothing over a restart but what was saved now and then.
const NOT_KEPT: &str = "Redis has appendonly no: acknowledged changes are lost when it restarts";

/// Looks at the server; `Err` when it is not to be used, else what should be known of it. Writes down how many
/// partitions there are if nobody has.
pub async fn examine(link: &mut Link, keyspace: &Keyspace) -> Result<Vec<&'static str>, LinkError> {
    let unfit = |why, is_lasting| Err(LinkError::Unfit(Unfit { why, is_lasting }));
    if let Some(partition) = keyspace.all().next()
        && let Some(why) = privileges::missing(link, keyspace, partition).await?
    {
        return unfit(why, false);
    }
    // A key of another type would fail inside a transaction, which Redis does not roll back.
    let mut kinds = vec![(keyspace.partition_count(), "string"), (keyspace.instances(), "zset")];
    for partition in keyspace.all() {
        kinds.push((keyspace.deadlines(partition), "zset"));
        kinds.extend(Queue::ALL.map(|part| (keyspace.queue(partition, part), part.kind())));
    }
    let mut commands = Commands::new();
    for (key, _) in &kinds {
        commands.cmd("TYPE").arg(key);
    }
    commands.cmd("INFO").arg("memory").arg("persistence");
    let mut replies = link.ask(&commands).await?;
    if let Some(why) = replies.iter().find_map(Reply::refusal) {
        return Err(LinkError::Refused(why.to_owned()));
    }
    let info = replies.pop().unwrap_or(Reply::Nil);
    let info = info.text().unwrap_or_default();
    for ((key, expected), reply) in kinds.iter().zip(&replies) {
        let kind = reply.text().unwrap_or_default();
        if kind != *expected && kind != "none" {
            return unfit(format!("the key {key:?} in Redis is of type {kind}, not {expected}"), false);
        }
    }
    let policy = field(info, "maxmemory_policy").unwrap_or(NO_EVICTION);
    if policy != NO_EVICTION {
        return unfit(format!("Redis has maxmemory-policy {policy}; it must be {NO_EVICTION}"), false);
    }
    let ours = keyspace.partitions().to_string();
    let mut claim = Commands::new();
    claim.cmd("SET").arg(keyspace.partition_count()).arg(&ours).arg("NX").cmd("GET").arg(keyspace.partition_count());
    let replies = link.ask(&claim).await?;
    let theirs = replies.last().and_then(Reply::text).unwrap_or_default();
    if theirs.is_empty() {
        let why = replies.iter().find_map(Reply::refusal).unwrap_or("SET kept nothing");
        return Err(LinkError::Refused(why.to_owned()));
    }
    if theirs != ours {
        return unfit(format!("Redis holds {theirs} partitions, and PARTITIONS says {ours}"), true);
    }
    let is_kept = field(info, "aof_enabled") != Some("0");
    Ok(if is_kept { Vec::new() } else { vec![NOT_KEPT] })
}

/// Why a server of a kind (`redis_mode`) is not the one that REDIS_URL speaks of.
pub(super) fn misplaced(kind: &str, is_said_to_be_of_cluster: bool) -> Option<&'static str> {
    match (kind, is_said_to_be_of_cluster) {
        ("sentinel", _) => Some("is a Sentinel: REDIS_URL must begin with redis+sentinel://"),
        ("cluster", false) => Some("is one of a Cluster: REDIS_URL must begin with redis+cluster://"),
        ("standalone", true) => Some("is not one of a Cluster, and REDIS_URL says redis+cluster://"),
        _ => None,
    }
}

/// A field of INFO.
pub(super) fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
