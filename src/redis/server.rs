//! The server that keeps some keys: which one it is now, however that is found out, and connections to it. Does not
//! know what is asked on them.

use std::sync::Arc;
use std::time::Duration;

use crate::redis::endpoints::access::{Certificates, RedisAccess};
use crate::redis::endpoints::deployment::Deployment;
use crate::redis::endpoints::endpoint::RedisEndpoint;
use crate::redis::endpoints::url::DeploymentKind;
use crate::redis::routing::route::KeyRoute;
use crate::redis::routing::topology::Topology;
use crate::runtime::time;
use crate::secret::SecretSource;

use super::connection::RedisConnection;
use super::error::RedisError;
use super::keyspace::Keyspace;
use super::subscriber::Subscriber;

/// How often a Sentinel or a Cluster is asked for its topology.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// The server that answers for a hash slot. A single server and a master behind Sentinels answer for every slot.
#[derive(Clone, Debug)]
pub struct RedisServer {
    /// The route to its hash slot, before its node is looked up.
    route: KeyRoute,
}

impl RedisServer {
    /// Where a URL leads to, such as `redis://127.0.0.1:6379/0` (`access.rs` has all forms); `Err` says what is
    /// wrong with it, and never a password.
    pub fn open(access: &RedisAccess, reply_timeout: Duration) -> Result<Self, String> {
        let topology = Arc::new(Topology::new(Deployment::open(access)?));
        Ok(Self { route: KeyRoute::new(topology, 0, reply_timeout) })
    }

    /// The same for a URL that does not change.
    pub fn parse(url: &str, certificates: &Certificates, reply_timeout: Duration) -> Result<Self, String> {
        let access = RedisAccess { url: SecretSource::given(url), password: None, certificates: certificates.clone() };
        Self::open(&access, reply_timeout)
    }

    /// Whether its keys are divided among the nodes of a Cluster.
    pub fn is_cluster(&self) -> bool {
        self.route.is_of_cluster()
    }

    /// How many failovers and slot migrations are known of: what the server before did says nothing of the present one.
    pub fn changes(&self) -> u64 {
        self.route.topology.changes()
    }

    /// The shards of a keyspace, of which each is kept by one server at a time: with a Cluster its partitions, else all
    /// of it.
    pub fn shards(&self, keyspace: &Keyspace) -> Vec<(RedisServer, Keyspace)> {
        if !self.is_cluster() {
            return vec![(self.clone(), keyspace.clone())];
        }
        let shard = |partition| {
            let keyspace = keyspace.shard(partition);
            (Self { route: self.route.of_slot(keyspace.slot(partition)) }, keyspace)
        };
        keyspace.all().map(shard).collect()
    }

    /// An exclusive connection.
    pub async fn connect(&self) -> Result<RedisConnection, RedisError> {
        let (endpoint, route) = self.locate().await?;
        self.unless_replaced(&route, RedisConnection::open(route.clone(), &endpoint)).await
    }

    /// A connection that hears what is published.
    pub async fn subscribe(&self) -> Result<Subscriber, RedisError> {
        let (endpoint, route) = self.locate().await?;
        let made = self.route.topology.attempt(&endpoint, Subscriber::connect(&endpoint, route.clone()));
        self.unless_replaced(&route, made).await
    }

    /// Follows the topology where it may change; runs until it is dropped.
    pub async fn follow(&self) {
        let topology = &self.route.topology;
        if topology.deployment.kind == DeploymentKind::Single {
            return std::future::pending().await;
        }
        let mut announcements = topology.listen();
        loop {
            tokio::select! {
                biased;
                () = time::sleep(FOLLOW_INTERVAL) => {}
                () = announcements.next() => {}
            }
            topology.invalidate();
            // The next connect reports why no server answers.
            let _ = topology.refresh().await;
        }
    }

    /// Waits for a connection, unless the topology names another server before it is made: a server that is halted
    /// takes long to say nothing.
    async fn unless_replaced<T>(
        &self,
        route: &KeyRoute,
        made: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        tokio::select! {
            biased;
            // A server that does not answer may have been replaced.
            made = made => made.inspect_err(|_| self.route.topology.invalidate()),
            () = route.replaced() => Err(RedisError::Moved("that is known by now".to_owned())),
        }
    }

    async fn locate(&self) -> Result<(RedisEndpoint, KeyRoute), RedisError> {
        let topology = &self.route.topology;
        if topology.deployment.kind == DeploymentKind::Single {
            return Ok((topology.deployment.seeds[0].clone(), self.route.clone()));
        }
        let node = topology.find(self.route.slot).await?;
        Ok((topology.deployment.endpoint(&node), self.route.to(&node)))
    }
}
