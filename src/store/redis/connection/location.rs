//! Where the data of a store is, and how long a request to it may take. Does not know how connections are made.

use std::time::Duration;

use crate::redis::{Keyspace, RedisServer};

/// Where the data of a store, or of a shard of it, is.
#[derive(Clone, Debug)]
pub struct StoreLocation {
    /// The server, or all servers of a deployment.
    pub server: RedisServer,
    /// The names of keys and channels there.
    pub keyspace: Keyspace,
    /// How long a request may take.
    pub timeout: Duration,
}

impl StoreLocation {
    /// The location of each shard.
    pub(in crate::store::redis) fn shards(&self) -> Vec<Self> {
        let shards = self.server.shards(&self.keyspace).into_iter();
        shards.map(|(server, keyspace)| Self { server, keyspace, timeout: self.timeout }).collect()
    }

    /// How long a call to the store waits: a little less than a request may take, so that the client is answered.
    pub(in crate::store::redis) fn patience(&self) -> Duration {
        self.timeout * 4 / 5
    }
}
