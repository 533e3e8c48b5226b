//! Finds out what the ACL of our Redis user permits: it queues every command that is used later, on the keys and
//! channels that it is used on, in a transaction, and discards that. Redis checks the ACL when a command is queued, so
//! that every missing permission is known, and no command is carried out. Does not know what the commands are for.

use bytes::Bytes;

use crate::client::ClientAddress;
use crate::engine::{SessionId, Uuid};
use crate::redis::protocol::pipeline::Pipeline;
use crate::redis::protocol::resp::Value;

use super::connection::RedisConnection;
use super::error::RedisError;
use super::keyspace::{Keyspace, Partition, QueueKey};

/// Permissions that are named in one error.
const NAMED_MAX: usize = 12;

/// Says which permissions the user that is logged in lacks; `None` when it lacks none.
pub(super) async fn missing_permissions(
    connection: &mut RedisConnection,
    keyspace: &Keyspace,
    partition: Partition,
) -> Result<Option<String>, RedisError> {
    let mut missing = MissingPermissions::default();
    let mut begin = Pipeline::new();
    begin.cmd("WATCH").arg(keyspace.deadlines(partition));
    begin.cmd("UNWATCH").cmd("MULTI").cmd("EXEC").cmd("MULTI");
    let replies = connection.ask(&begin).await?;
    let is_begun = replies.last().is_some_and(Value::is_ok);
    missing.note(&begin, &replies);
    // Without a transaction all that follows would be carried out.
    if is_begun {
        let mut commands = every_command(keyspace, partition, connection.is_of_cluster());
        commands.cmd("DISCARD");
        let replies = connection.ask(&commands).await?;
        missing.note(&commands, &replies);
        let is_over = replies.last().is_some_and(Value::is_ok);
        if !is_over && missing.is_empty() {
            return Err(RedisError::Server(format!("DISCARD answered {:?}", replies.last())));
        }
    } else if missing.is_empty() {
        return Err(RedisError::Server(format!("MULTI answered {:?}", replies.last())));
    }
    Ok(missing.describe())
}

/// Each command, on one key or channel of each kind that it is used on.
fn every_command(keyspace: &Keyspace, partition: Partition, is_of_cluster: bool) -> Pipeline {
    let mut commands = Pipeline::new();
    let id = (0..).map(|n| SessionId(Uuid::from_bits(n))).find(|id| keyspace.partition(*id) == partition);
    let id = id.unwrap_or(SessionId(Uuid::from_bits(0)));
    let queue = |part| keyspace.queue(partition, part);
    let (session, deadlines) = (keyspace.session(id), keyspace.deadlines(partition));
    commands.cmd("MGET").arg(&session).cmd("GET").arg(&session).cmd("SETEX").arg(&session).arg(1).arg("");
    let client = ClientAddress::UNIX.into();
    let limits = [keyspace.switch_limit(id, None), keyspace.refused_limit(id, client), keyspace.general_limit(client)];
    for limit in limits {
        commands.cmd("INCRBY").arg(&limit).arg(1).cmd("DECRBY").arg(&limit).arg(1);
        commands.cmd("INCR").arg(&limit).cmd("PEXPIRE").arg(&limit).arg(1).arg("LT").cmd("PTTL").arg(&limit);
    }
    commands.cmd("TYPE").arg(&deadlines).cmd("ZADD").arg(&deadlines).arg(0).arg("").cmd("ZREM").arg(&deadlines).arg("");
    commands.cmd("SET").arg(keyspace.partition_count()).arg("").arg("NX");
    let clock = keyspace.clock();
    commands.cmd("GET").arg(&clock).cmd("SET").arg(&clock).arg("").cmd("EVALSHA").arg("").arg(1).arg(&clock);
    let (instance, instances) = (keyspace.instance("run"), keyspace.instances());
    commands.cmd("SETEX").arg(&instance).arg(1).arg("").cmd("MGET").arg(&instance);
    commands.cmd("ZADD").arg(&instances).arg(0).arg("").cmd("ZRANGE").arg(&instances).arg(0).arg(0);
    commands.cmd("ZREM").arg(&instances).arg("");
    let (revoked, count) = (keyspace.revoked(), keyspace.revocation_count());
    commands.cmd("ZADD").arg(&revoked).arg(0).arg("").cmd("ZRANGE").arg(&revoked).arg(0).arg(0);
    commands.cmd("ZREM").arg(&revoked).arg("").cmd("GET").arg(&count).cmd("INCR").arg(&count);
    let lists =
        [queue(QueueKey::Wait), queue(QueueKey::Dead), queue(QueueKey::Done), keyspace.batch(partition, "name")];
    for list in &lists {
        commands.cmd("RPUSH").arg(list).arg("").cmd("LPUSH").arg(list).arg("").cmd("LREM").arg(list).arg(1).arg("");
        commands.cmd("LLEN").arg(list).cmd("LINDEX").arg(list).arg(0);
        commands.cmd("LRANGE").arg(list).arg(0).arg(0).cmd("LTRIM").arg(list).arg(0).arg(0);
    }
    commands.cmd("RENAME").arg(queue(QueueKey::Wait)).arg(keyspace.batch(partition, "name"));
    commands.cmd("EXPIRE").arg(queue(QueueKey::Done)).arg(1);
    for index in [queue(QueueKey::Lease), queue(QueueKey::Delayed)] {
        commands.cmd("ZRANGE").arg(&index).arg(0).arg(0).cmd("ZCARD").arg(&index).cmd("ZSCORE").arg(&index).arg("");
    }
    let pending = queue(QueueKey::Pending);
    commands
        .cmd("HSET")
        .arg(&pending)
        .arg("")
        .arg("")
        .cmd("HGET")
        .arg(&pending)
        .arg("")
        .cmd("HDEL")
        .arg(&pending)
        .arg("");
    commands.cmd("HMGET").arg(&pending).arg("").cmd("HINCRBY").arg(&pending).arg("").arg(1);
    let bytes = queue(QueueKey::Bytes);
    commands.cmd("INCRBY").arg(&bytes).arg(1).cmd("DECRBY").arg(&bytes).arg(1).cmd("DEL").arg(&bytes);
    let (subscribe, unsubscribe) =
        if is_of_cluster { ("SSUBSCRIBE", "SUNSUBSCRIBE") } else { ("SUBSCRIBE", "UNSUBSCRIBE") };
    let channels = [
        keyspace.updates_channel(),
        keyspace.session_channel(id),
        keyspace.probe_channel(0),
        keyspace.revocations_channel(),
    ];
    for channel in channels {
        commands.cmd(keyspace.publish()).arg(&channel).arg("");
        commands.cmd(subscribe).arg(&channel).cmd(unsubscribe).arg(&channel);
    }
    commands.cmd("SCRIPT").arg("LOAD").arg("return 0").cmd("EVALSHA").arg("").arg(1).arg(&deadlines);
    commands.cmd("TIME").cmd("WAIT").arg(0).arg(0);
    if is_of_cluster {
        commands.cmd("ASKING");
    }
    commands
}

/// What the ACL does not permit, and what the server does not have.
#[derive(Default)]
struct MissingPermissions {
    denied: Vec<String>,
    unknown: Vec<String>,
}

impl MissingPermissions {
    fn is_empty(&self) -> bool {
        self.denied.is_empty() && self.unknown.is_empty()
    }

    fn note(&mut self, commands: &Pipeline, replies: &[Value]) {
        for (command, reply) in commands.each().zip(replies) {
            let Some(why) = reply.error() else { continue };
            // The error of EXEC ends with the error of the command that aborted it.
            let why = why.strip_prefix("EXECABORT Transaction discarded because of: ").unwrap_or(why);
            let words = words(command);
            let (list, what) = if why.starts_with("ERR unknown") {
                (&mut self.unknown, name(&words))
            } else if !why.starts_with("NOPERM") {
                continue;
            } else if why.contains("command") {
                (&mut self.denied, name(&words))
            } else {
                let kind = if why.contains("channel") { "channel" } else { "key" };
                (&mut self.denied, format!("the {kind} {:?}", name_of_key(&words)))
            };
            if !list.contains(&what) {
                list.push(what);
            }
        }
    }

    fn describe(self) -> Option<String> {
        let listed = |names: Vec<String>| {
            let more = names.len().saturating_sub(NAMED_MAX);
            let told = names.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
            if more > 0 { format!("{told} and {more} more") } else { told }
        };
        match (self.denied.is_empty(), self.unknown.is_empty()) {
            (true, true) => None,
            (false, _) => Some(format!("the user in Redis has no permission for {}", listed(self.denied))),
            (true, false) => Some(format!("Redis does not have {}: it must be 7.0 or newer", listed(self.unknown))),
        }
    }
}

/// The command, with its second word where it has one.
fn name(words: &[String]) -> String {
    match words {
        [first, second, ..] if first == "SCRIPT" => format!("{first} {second}"),
        [first, ..] => first.clone(),
        [] => String::new(),
    }
}

/// The key or channel that a command is about.
fn name_of_key(words: &[String]) -> String {
    let index = if words.first().is_some_and(|first| first == "EVALSHA") { 3 } else { 1 };
    words.get(index).cloned().unwrap_or_default()
}

/// The arguments of an encoded command, which is an array of bulk strings like a reply.
fn words(command: &[u8]) -> Vec<String> {
    let command = Value::decode(&mut Bytes::copy_from_slice(command), 1).unwrap_or_default();
    let words = command.first().map_or(&[][..], Value::list);
    words.iter().filter_map(|word| word.text().map(str::to_owned)).collect()
}
