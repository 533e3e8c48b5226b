//! Whether a server can be used as it is: what would fail or get lost later is said before anything is kept
//! there. Does not know what is kept.

use super::commands::Commands;
use super::link::{LinkError, Unfit};
use super::reply::Reply;
use super::{Keyspace, Link, Partition, Queue, privileges};

/// The policy under which Redis forgets nothing to make room.
const NO_EVICTION: &str = "noeviction";
/// What should be known of a server that keeps nothing over a restart but what was saved now and then.
const NOT_KEPT: &str = "Redis has appendonly no: acknowledged changes are lost when it restarts";

/// A number that no queue comes near, and that many more can be added to.
const ADDABLE_MAX: i64 = i64::MAX / 2;

/// What should be known of a server that can be used.
pub struct Fitness {
    /// For people, once.
    pub cautions: Vec<&'static str>,
    /// Partitions with a key that changes cannot be written to, and why.
    pub faults: Vec<(Partition, String)>,
}

/// Looks at the server; `Err` when it is not to be used, else what should be known of it. Writes down how many
/// partitions there are if nobody has.
pub async fn examine(link: &mut Link, keyspace: &Keyspace) -> Result<Fitness, LinkError> {
    let unfit = |why, is_lasting| Err(LinkError::Unfit(Unfit { why, is_lasting }));
    if let Some(partition) = keyspace.all().next()
        && let Some(why) = privileges::missing(link, keyspace, partition).await?
    {
        return unfit(why, false);
    }
    let mut commands = Commands::new();
    commands.cmd("INFO").arg("memory").arg("persistence");
    let ours = [(keyspace.partition_count(), "string"), (keyspace.instances(), "zset")];
    for (key, _) in &ours {
        commands.cmd("TYPE").arg(key);
    }
    keyspace.all().for_each(|partition| ask_keys(&mut commands, keyspace, partition));
    let replies = link.ask(&commands).await?;
    let refusal = |reply: &Reply| reply.refusal().filter(|why| !why.starts_with("WRONGTYPE")).map(str::to_owned);
    if let Some(why) = replies.iter().find_map(refusal) {
        return Err(LinkError::Refused(why));
    }
    let mut replies = replies.into_iter();
    let info = replies.next().unwrap_or(Reply::Nil);
    let info = info.text().unwrap_or_default();
    for (key, kind) in &ours {
        if let Some(why) = of_another_kind(key, kind, replies.next().as_ref()) {
            return unfit(why, false);
        }
    }
    let judge = |partition| Some((partition, judge_keys(keyspace, partition, &mut replies)?));
    let faults: Vec<_> = keyspace.all().filter_map(judge).collect();
    if faults.len() == keyspace.all().count()
        && let Some((_, why)) = faults.first()
    {
        return unfit(why.clone(), false);
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
    Ok(Fitness { cautions: if is_kept { Vec::new() } else { vec![NOT_KEPT] }, faults })
}

/// The keys of a partition that changes are written to, and their types.
fn kinds(keyspace: &Keyspace, partition: Partition) -> impl Iterator<Item = (String, &'static str)> {
    let queue = Queue::ALL.into_iter().map(move |part| (keyspace.queue(partition, part), part.kind()));
    std::iter::once((keyspace.deadlines(partition), "zset")).chain(queue)
}

/// Asks whether changes can be written to the keys of a partition: one of another type, or a number that cannot be added
/// to, would fail inside a transaction, which Redis does not roll back.
pub fn ask_keys(commands: &mut Commands, keyspace: &Keyspace, partition: Partition) {
    for (key, _) in kinds(keyspace, partition) {
        commands.cmd("TYPE").arg(key);
    }
    commands.cmd("GET").arg(keyspace.queue(partition, Queue::Bytes));
}

/// What the replies to [`ask_keys`] say: why changes cannot be written there.
pub fn judge_keys(
    keyspace: &Keyspace,
    partition: Partition,
    replies: &mut impl Iterator<Item = Reply>,
) -> Option<String> {
    let mut why = None;
    for (key, expected) in kinds(keyspace, partition) {
        let reply = replies.next();
        why = why.or_else(|| of_another_kind(&key, expected, reply.as_ref()));
    }
    let bytes = replies.next().unwrap_or(Reply::Nil);
    let number = match &bytes {
        Reply::Text(number) if !is_addable(number) => Some(number),
        Reply::Text(_) | Reply::Nil | Reply::Int(_) | Reply::Status(_) | Reply::List(_) | Reply::Error(_) => None,
    };
    why.or_else(|| number.map(|_| not_addable(&keyspace.queue(partition, Queue::Bytes))))
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

fn of_another_kind(key: &str, expected: &str, reply: Option<&Reply>) -> Option<String> {
    let kind = reply.and_then(Reply::text).unwrap_or_default();
    let is_right = kind == expected || kind == "none";
    (!is_right).then(|| format!("the key {key:?} in Redis is of type {kind}, not {expected}"))
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
