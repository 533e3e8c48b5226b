//! Every key and channel in Redis, by name. Does not know what is kept under them.
//!
//! With one partition names are plain (`session:<id>`); with more a session belongs to a partition `pNNN`
//! by a stable hash of its id, and every name takes the tag in braces (`session:{p017}:<id>`), so that all
//! that is committed together lies in one hash slot.

use crate::engine::SessionId;

/// Makes names.
#[derive(Clone, Debug)]
pub struct Keyspace {
    prefix: String,
    partitions: u16,
}

/// A part of the sessions whose keys lie in one hash slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Keyspace {
    /// Names that begin with `prefix`, over so many partitions; at least one.
    pub fn new(prefix: &str, partitions: u16) -> Self {
        Self { prefix: prefix.to_owned(), partitions: partitions.max(1) }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// Every partition.
    pub fn all(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.partitions).map(Partition)
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
        match self.tag(self.partition(id)) {
            Some(tag) => format!("{}session:{tag}:{id}", self.prefix),
            None => format!("{}session:{id}", self.prefix),
        }
    }

    /// The deadlines of a partition (sorted set: session -> ms).
    pub fn deadlines(&self, partition: Partition) -> String {
        match self.tag(partition) {
            Some(tag) => format!("{}deadlines:{tag}", self.prefix),
            None => format!("{}deadlines", self.prefix),
        }
    }

    /// How many partitions there are, for every instance to agree (string).
    pub fn partition_count(&self) -> String {
        format!("{}partitions", self.prefix)
    }

    /// The switches of a session in this window (integer with a TTL).
    pub fn switch_limit(&self, id: SessionId) -> String {
        match self.tag(self.partition(id)) {
            Some(tag) => format!("{}rl:switch:{tag}:{id}", self.prefix),
            None => format!("{}rl:switch:{id}", self.prefix),
        }
    }

    /// The requests of a client in this window (integer with a TTL).
    pub fn general_limit(&self, client: std::net::IpAddr) -> String {
        format!("{}rl:general:{client}", self.prefix)
    }

    /// The channel that carries every change.
    pub fn updates_channel(&self) -> String {
        format!("{}session-updates", self.prefix)
    }

    /// The channel that carries a session's messages.
    pub fn session_channel(&self, id: SessionId) -> String {
        format!("{}ws:{id}", self.prefix)
    }

    /// A channel on which an instance hears itself.
    pub fn probe_channel(&self, instance: u64) -> String {
        format!("{}probe:{instance:016x}", self.prefix)
    }

    /// The session whose channel this is.
    pub fn session_of_channel(&self, channel: &str) -> Option<SessionId> {
        let id = channel.strip_prefix(self.prefix.as_str())?.strip_prefix("ws:")?;
        crate::engine::Uuid::parse(id).map(SessionId)
    }

    fn tag(&self, Partition(number): Partition) -> Option<String> {
        (self.partitions > 1).then(|| format!("{{p{number:03}}}"))
    }
}
