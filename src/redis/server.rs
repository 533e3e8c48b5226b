//! The server that keeps some keys: which one it is now, however that is found out, and connections to it. Does not
//! know what is asked on them.

use std::sync::Arc;
use std::time::Duration;

use crate::secret::Source;

use super::address::{Access, Address, Certificates};
use super::client::Client;
use super::keyspace::Keyspace;
use super::link::{Link, LinkError};
use super::nodes::Nodes;
use super::subscriber::Subscriber;
use super::table::Node;
use super::url::Topology;

/// How often to ask who the master is, or who answers for which slot.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// The server that answers for a hash slot. With one server, or Sentinels, it answers for every slot.
#[derive(Clone, Debug)]
pub struct Server {
    nodes: Arc<Nodes>,
    slot: u16,
    reply_timeout: Duration,
}

/// A server that a connection leads to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    server: Server,
    node: Option<Node>,
}

impl Place {
    /// Whether it is still the one that answers for the keys, as far as is known.
    pub(super) fn is_current(&self) -> bool {
        self.node.as_ref().is_none_or(|node| self.server.nodes.is_at(self.server.slot, node))
    }

    /// Waits until it is not.
    pub(super) async fn left(&self) {
        match &self.node {
            Some(node) => self.server.nodes.left(self.server.slot, node).await,
            None => std::future::pending().await,
        }
    }

    /// Its host, where there may be several.
    pub(super) fn host(&self) -> Option<&str> {
        self.node.as_ref().map(|node| node.host.as_str())
    }

    /// A connection to another server of the same Cluster.
    pub(super) async fn elsewhere(&self, node: &Node) -> Result<Link, LinkError> {
        let client = self.server.nodes.address.at(node);
        self.server.link(&client, Self { server: self.server.clone(), node: Some(node.clone()) }).await
    }

    /// Whether it is said to be one of a Cluster.
    pub(super) fn is_of_cluster(&self) -> bool {
        self.server.is_cluster()
    }

    /// Somebody else may be the one.
    pub(super) fn doubt(&self) {
        self.server.nodes.doubt();
    }

    /// Somebody else is the one, for a slot.
    pub(super) fn moved(&self, slot: u16, node: Node) {
        self.server.nodes.moved(slot, node);
    }
}

impl Server {
    /// Where a URL leads to, such as `redis://127.0.0.1:6379/0` (`address.rs` has all forms); `Err` says what is
    /// wrong with it, and never a password.
    pub fn open(access: &Access, reply_timeout: Duration) -> Result<Self, String> {
        let nodes = Arc::new(Nodes::new(Address::open(access)?));
        Ok(Self { nodes, slot: 0, reply_timeout })
    }

    /// The same for a URL that does not change.
    pub fn parse(url: &str, certificates: &Certificates, reply_timeout: Duration) -> Result<Self, String> {
        let access = Access { url: Source::given(url), password: None, certificates: certificates.clone() };
        Self::open(&access, reply_timeout)
    }

    /// Whether its keys are divided among several servers.
    pub fn is_cluster(&self) -> bool {
        self.nodes.address.topology == Topology::Cluster
    }

    /// How often another server became the one, as far as is known: whatever the one before did says nothing of it.
    pub fn changes(&self) -> u64 {
        self.nodes.changes()
    }

    /// The parts of a keyspace of which each is kept by one server at a time, and where: with a Cluster its
    /// partitions, else all of it.
    pub fn shares(&self, keyspace: &Keyspace) -> Vec<(Server, Keyspace)> {
        if !self.is_cluster() {
            return vec![(self.clone(), keyspace.clone())];
        }
        let share = |partition| {
            let keyspace = keyspace.share(partition);
            (Self { slot: keyspace.slot(partition), ..self.clone() }, keyspace)
        };
        keyspace.all().map(share).collect()
    }

    /// A connection that nobody else uses.
    pub async fn connect(&self) -> Result<Link, LinkError> {
        let (client, node) = self.client().await?;
        let place = Place { server: self.clone(), node };
        self.unless_left(&place, self.link(&client, place.clone())).await
    }

    async fn link(&self, client: &Client, place: Place) -> Result<Link, LinkError> {
        let made = async { Link::new(client.connect(self.reply_timeout).await?, place, client).await };
        self.nodes.go(client, made).await
    }

    /// A connection that is told what is published.
    pub async fn subscribe(&self) -> Result<Subscriber, LinkError> {
        let (client, node) = self.client().await?;
        let place = Place { server: self.clone(), node };
        let made = self.nodes.go(&client, Subscriber::connect(&client, place.clone()));
        self.unless_left(&place, made).await
    }

    /// Keeps looking who the server is, where that may change; runs until it is dropped.
    pub async fn follow(&self) {
        if self.nodes.address.topology == Topology::Single {
            return std::future::pending().await;
        }
        let mut announcements = self.nodes.listen();
        loop {
            tokio::select! {
                () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
                () = announcements.next() => {}
            }
            self.nodes.doubt();
            // Whoever connects is told why nobody answers.
            let _ = self.nodes.known().await;
        }
    }

    /// What is made at a place, unless another becomes the one before it is made: a server that is halted takes
    /// long to say nothing.
    async fn unless_left<T>(
        &self,
        place: &Place,
        made: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        tokio::select! {
            biased;
            // Who does not answer may not be the one any more.
            made = made => made.inspect_err(|_| self.nodes.doubt()),
            () = place.left() => Err(LinkError::Elsewhere("that is known by now".to_owned())),
        }
    }

    async fn client(&self) -> Result<(Client, Option<Node>), LinkError> {
        if self.nodes.address.topology == Topology::Single {
            return Ok((self.nodes.address.named[0].clone(), None));
        }
        let node = self.nodes.find(self.slot).await?;
        Ok((self.nodes.address.at(&node), Some(node)))
    }
}
