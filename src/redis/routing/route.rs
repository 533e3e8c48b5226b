//! The route from a hash slot to the node that answers for it: what a connection was made for, and whether that is
//! still so. Does not know how a connection is made.

use std::sync::Arc;
use std::time::Duration;

use crate::redis::endpoints::node::Node;
use crate::redis::endpoints::url::DeploymentKind;

use super::topology::Topology;

/// Where a connection leads to, and for which keys.
#[derive(Clone, Debug)]
pub(in crate::redis) struct KeyRoute {
    pub(in crate::redis) topology: Arc<Topology>,
    pub(in crate::redis) slot: u16,
    /// How long a reply may take.
    pub(in crate::redis) reply_timeout: Duration,
    /// `None` where a single server answers for every key at all times.
    node: Option<Node>,
}

impl KeyRoute {
    /// A route on which the only server answers.
    pub(in crate::redis) fn new(topology: Arc<Topology>, slot: u16, reply_timeout: Duration) -> Self {
        Self { topology, slot, reply_timeout, node: None }
    }

    /// The route of another hash slot in the same deployment.
    pub(in crate::redis) fn of_slot(&self, slot: u16) -> Self {
        Self { slot, node: None, ..self.clone() }
    }

    /// The same route, to another node.
    pub(in crate::redis) fn to(&self, node: &Node) -> Self {
        Self { node: Some(node.clone()), ..self.clone() }
    }

    /// Whether its node still answers for the keys, as far as is known.
    pub(in crate::redis) fn is_current(&self) -> bool {
        self.node.as_ref().is_none_or(|node| self.topology.is_at(self.slot, node))
    }

    /// Waits until another node answers for the keys.
    pub(in crate::redis) async fn replaced(&self) {
        match &self.node {
            Some(node) => self.topology.replaced(self.slot, node).await,
            None => std::future::pending().await,
        }
    }

    /// The host of its node, where there may be several.
    pub(in crate::redis) fn host(&self) -> Option<&str> {
        self.node.as_ref().map(|node| node.host.as_str())
    }

    /// Whether the keys are divided among the nodes of a Cluster.
    pub(in crate::redis) fn is_of_cluster(&self) -> bool {
        self.topology.deployment.kind == DeploymentKind::Cluster
    }
}
