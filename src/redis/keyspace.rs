//! Every key and channel in Redis, by name. Does not know what is kept under them.
//!
//! With one partition names are plain (`session:<id>`); with more a session belongs to a partition `pNNN`
//! by a stable hash of its id, and every name takes the tag in braces (`session:{p017}:<id>`), so that all
//! that is committed together lies in one hash slot. In a Cluster channels take it too.

use crate::client::ClientId;
use crate::engine::{ParticipantId, SessionId};

/// Makes names.
#[derive(Clone, Debug)]
pub struct Keyspace {
    prefix: String,
    partitions: u16,
    /// The only partition that these names lead to; `None` is all of them.
    shard: Option<Partition>,
}

/// A part of the sessions whose keys lie in one hash slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

/// A part of the audit queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKey {
    /// Jobs that wait, new ones (list).
    Wait,
    /// Session -> newest `epoch.version` that is queued and not written yet (hash).
    Pending,
    /// Bytes of the jobs that are not written yet, dead ones included (integer).
    Bytes,
    /// Batch -> end of its lease in ms (sorted set).
    Lease,
    /// Job that is tried alone -> when it is due, in ms (sorted set): after a failure, or when its holder died.
    Delayed,
    /// Jobs that were given up, with their last error (list).
    Dead,
    /// The last successes (list).
    Done,
}

impl QueueKey {
    /// Every part.
    pub const ALL: [QueueKey; 7] = [
        QueueKey::Wait,
        QueueKey::Pending,
        QueueKey::Bytes,
        QueueKey::Lease,
        QueueKey::Delayed,
        QueueKey::Dead,
        QueueKey::Done,
    ];

    /// The Redis type of its key.
    pub const fn kind(self) -> &'static str {
        match self {
            QueueKey::Wait | QueueKey::Dead | QueueKey::Done => "list",
            QueueKey::Pending => "hash",
            QueueKey::Bytes => "string",
            QueueKey::Lease | QueueKey::Delayed => "zset",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            QueueKey::Wait => "wait",
            QueueKey::Pending => "pending",
            QueueKey::Bytes => "bytes",
            QueueKey::Lease => "lease",
            QueueKey::Delayed => "delayed",
            QueueKey::Dead => "dead",
            QueueKey::Done => "done",
        }
    }
}

impl Keyspace {
    /// Names that begin with `prefix`, over so many partitions; at least one.
    pub fn new(prefix: &str, partitions: u16) -> Self {
        Self { prefix: prefix.to_owned(), partitions: partitions.max(1), shard: None }
    }

    /// The names in one partition alone, for a server that need not keep any other.
    pub fn shard(&self, partition: Partition) -> Self {
        Self { shard: Some(partition), ..self.clone() }
    }

    /// The hash slot of a partition.
    pub fn slot(&self, partition: Partition) -> u16 {
        crate::redis::routing::slot_map::key_slot(self.deadlines(partition).as_bytes())
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// Every partition, or the only one of a shard.
    pub fn all(&self) -> impl Iterator<Item = Partition> + use<> {
        match self.shard {
            Some(Partition(number)) => number..number + 1,
            None => 0..self.partitions,
        }
        .map(Partition)
    }

    /// The index of a session's partition among [`Keyspace::all`].
    pub fn partition_index(&self, id: SessionId) -> usize {
        usize::from(self.partition(id).0)
    }

    /// The partition of a session: FNV-1a over the id's bytes, so that every version of the program agrees.
    pub fn partition(&self, id: SessionId) -> Partition {
        let hash =
            id.0.bits()
                .to_be_bytes()
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Partition((hash % u64::from(self.partitions)) as u16)
    }

    /// The state of a session (string).
    pub fn session(&self, id: SessionId) -> String {
        self.name("session", Some(self.partition(id)), &[text(&id.0.text())])
    }

    /// The deadlines of a partition (sorted set: session -> ms).
    pub fn deadlines(&self, partition: Partition) -> String {
        self.name("deadlines", Some(partition), &[])
    }

    /// What the clock of the server is corrected by that keeps all this (string).
    pub fn clock(&self) -> String {
        self.name("clock", self.shard, &[])
    }

    /// A part of a partition's audit queue.
    pub fn queue(&self, partition: Partition, part: QueueKey) -> String {
        self.name("db-writes", Some(partition), &[part.name()])
    }

    /// The jobs of a batch that is being written (list).
    pub fn batch(&self, partition: Partition, name: &str) -> String {
        self.name("db-writes", Some(partition), &["batch", name])
    }

    /// How many partitions there are, for every instance to agree (string).
    pub fn partition_count(&self) -> String {
        self.name("partitions", self.shard, &[])
    }

    /// What an instance says of itself (string with a TTL).
    pub fn instance(&self, run: &str) -> String {
        self.name("instance", self.shard, &[run])
    }

    /// All instances (sorted set: run -> start in s).
    pub fn instances(&self) -> String {
        self.name("instances", self.shard, &[])
    }

    /// What was revoked (sorted set: revocation -> its end in ms).
    pub fn revoked(&self) -> String {
        self.name("revoked", self.shard, &[])
    }

    /// How often something was revoked (integer): without it nothing was, or all of it is lost.
    pub fn revocation_count(&self) -> String {
        self.name("revocations", self.shard, &[])
    }

    /// The channel that carries what is revoked.
    pub fn revocations_channel(&self) -> String {
        self.name("revocations", self.shard, &[])
    }

    /// The switches of a session in this window (integer with a TTL): those of a participant who ends their own turns
    /// alone, or those that are nobody's own.
    pub fn switch_limit(&self, id: SessionId, participant: Option<ParticipantId>) -> String {
        let (partition, session) = (Some(self.partition(id)), id.0.text());
        match participant {
            Some(participant) => self.name("rl:switch", partition, &[text(&session), text(&participant.0.text())]),
            None => self.name("rl:switch", partition, &[text(&session)]),
        }
    }

    /// What a client was refused of a session in this window (integer with a TTL).
    pub fn refused_limit(&self, id: SessionId, client: ClientId) -> String {
        self.name("rl:refused", Some(self.partition(id)), &[text(&id.0.text()), &client.to_string()])
    }

    /// The requests of a client in this window (integer with a TTL).
    pub fn general_limit(&self, client: ClientId) -> String {
        self.name("rl:general", self.shard, &[&client.to_string()])
    }

    /// The command that publishes: in a shard to the subscribers of its own server, since every other would pay for it.
    pub fn publish(&self) -> &'static str {
        if self.shard.is_some() { "SPUBLISH" } else { "PUBLISH" }
    }

    /// The channel that carries every change.
    pub fn updates_channel(&self) -> String {
        self.name("session-updates", self.shard, &[])
    }

    /// The channel that carries a session's messages.
    pub fn session_channel(&self, id: SessionId) -> String {
        self.name("ws", self.shard, &[text(&id.0.text())])
    }

    /// A channel on which an instance hears itself.
    pub fn probe_channel(&self, instance: u64) -> String {
        self.name("probe", self.shard, &[&format!("{instance:016x}")])
    }

    /// The session whose channel this is.
    pub fn session_of_channel(&self, channel: &str) -> Option<SessionId> {
        let mut name = channel.strip_prefix(self.prefix.as_str())?.strip_prefix("ws:")?;
        if let Some(tag) = self.shard_tag() {
            name = name.strip_prefix(tag.as_str())?.strip_prefix(':')?;
        }
        crate::engine::Uuid::parse(name).map(SessionId)
    }

    fn shard_tag(&self) -> Option<String> {
        self.shard.filter(|_| self.partitions > 1).map(|Partition(number)| format!("{{p{number:03}}}"))
    }

    /// The kind of thing, the tag of its partition if there are several, and what else there is to say, all between
    /// colons.
    fn name(&self, kind: &str, partition: Option<Partition>, parts: &[&str]) -> String {
        let mut name = String::with_capacity(self.prefix.len() + kind.len() + 48);
        name.push_str(&self.prefix);
        name.push_str(kind);
        if let Some(Partition(number)) = partition.filter(|_| self.partitions > 1) {
            name.push_str(&format!(":{{p{number:03}}}"));
        }
        for part in parts {
            name.push(':');
            name.push_str(part);
        }
        name
    }
}

/// Hex digits and hyphens.
fn text(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).unwrap_or_default()
}
