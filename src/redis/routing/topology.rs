//! The topology of a deployment: which node answers for which hash slot. Asks the Sentinels or the nodes of a Cluster
//! when its view is stale, and tries one connection at a time to a server that fails. Does not know what is kept there.

use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};
use tracing::info;

use crate::clock::{Clock, Moment};
use crate::hashing::HashMap;
use crate::redis::circuit_breaker::CircuitBreaker;
use crate::redis::endpoints::deployment::Deployment;
use crate::redis::endpoints::endpoint::RedisEndpoint;
use crate::redis::endpoints::node::Node;
use crate::redis::endpoints::url::DeploymentKind;
use crate::redis::error::RedisError;
use crate::runtime::time;

use super::cluster;
use super::sentinel;
use super::slot_map::TopologyView;

/// How long a Sentinel or a node may take to answer with its view.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);
/// The least time between two refreshes.
const REFRESH_PAUSE: Duration = Duration::from_millis(50);

/// A task that listens to a Sentinel.
type SentinelListener = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Announcements of failovers; dropping them ends the listeners.
pub(in crate::redis) struct Announcements {
    told: mpsc::Receiver<()>,
    listeners: FuturesUnordered<SentinelListener>,
}

impl Announcements {
    /// Waits for the next one.
    pub(in crate::redis) async fn next(&mut self) {
        let listening = async {
            while self.listeners.next().await.is_some() {}
            std::future::pending().await
        };
        tokio::select! {
            biased;
            Some(()) = self.told.recv() => {}
            () = listening => {}
        }
    }
}

/// The nodes of a deployment, and what is known of them.
#[derive(Debug)]
pub(in crate::redis) struct Topology {
    pub(in crate::redis) deployment: Deployment,
    clock: Clock,
    known: RwLock<KnownTopology>,
    /// Another node answers for some slot.
    changed: Notify,
    /// When the view was refreshed last, and the circuit breaker of refreshes; a refresh holds the lock.
    refreshes: AsyncMutex<(Option<Moment>, CircuitBreaker)>,
    /// By endpoint.
    breakers: Mutex<HashMap<String, CircuitBreaker>>,
}

#[derive(Debug)]
struct KnownTopology {
    view: TopologyView,
    /// How often the view has changed.
    changes: u64,
    /// How often the view was invalidated, and up to which of these it was refreshed.
    invalidations: u64,
    refreshed: u64,
}

impl KnownTopology {
    fn is_stale(&self) -> bool {
        self.refreshed < self.invalidations
    }
}

impl Topology {
    /// Nothing is known yet.
    pub(in crate::redis) fn new(deployment: Deployment) -> Self {
        let view = TopologyView::default();
        let known = RwLock::new(KnownTopology { view, changes: 0, invalidations: 1, refreshed: 0 });
        let (refreshes, breakers) = (AsyncMutex::default(), Mutex::default());
        Self { deployment, clock: Clock::system(), known, changed: Notify::new(), refreshes, breakers }
    }

    /// Attempts to connect to an endpoint, unless its circuit breaker is open.
    pub(in crate::redis) async fn attempt<T>(
        &self,
        endpoint: &RedisEndpoint,
        made: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let name = endpoint.to_string();
        self.breakers.lock().entry(name.clone()).or_default().try_acquire(self.clock.moment())?;
        let made = made.await;
        let mut breakers = self.breakers.lock();
        let breaker = breakers.entry(name).or_default();
        match &made {
            Ok(_) => breaker.close(),
            Err(why) => breaker.record_failure(why, self.clock.moment()),
        }
        made
    }

    /// Marks the view as stale.
    pub(in crate::redis) fn invalidate(&self) {
        self.known.write().invalidations += 1;
    }

    /// A node redirected a request to another one, which answers for a slot.
    pub(in crate::redis) fn moved(&self, slot: u16, node: Node) {
        let mut known = self.known.write();
        known.view.slots.reassign(slot, node);
        known.changes += 1;
        known.invalidations += 1;
        drop(known);
        self.changed.notify_waiters();
    }

    /// How often the view has changed.
    pub(in crate::redis) fn changes(&self) -> u64 {
        self.known.read().changes
    }

    /// Whether a node answers for a slot, as far as is known.
    pub(super) fn is_at(&self, slot: u16, node: &Node) -> bool {
        self.known.read().view.slots.node(slot) == Some(node)
    }

    /// Announces failovers, where Sentinels do.
    pub(in crate::redis) fn listen(&self) -> Announcements {
        let (tell, told) = mpsc::channel(1);
        let listeners = FuturesUnordered::<SentinelListener>::new();
        if matches!(self.deployment.kind, DeploymentKind::Sentinel { .. }) {
            for sentinel in &self.deployment.seeds {
                listeners.push(Box::pin(sentinel::listen(sentinel.clone(), tell.clone())));
            }
        }
        Announcements { told, listeners }
    }

    /// Waits until another node answers for a slot.
    pub(in crate::redis) async fn replaced(&self, slot: u16, node: &Node) {
        loop {
            // Registers first, so that no change between the look and the wait is missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if !self.is_at(slot, node) {
                return;
            }
            changed.await;
        }
    }

    /// The node that answers for a slot.
    pub(in crate::redis) async fn find(&self, slot: u16) -> Result<Node, RedisError> {
        let refreshed = self.refresh().await;
        let node = self.known.read().view.slots.node(slot).cloned();
        match (node, refreshed) {
            (Some(node), _) => Ok(node),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(RedisError::Io(format!("nobody answers for the hash slot {slot}"))),
        }
    }

    /// Refreshes a stale view. Callers that come meanwhile share the answer.
    pub(in crate::redis) async fn refresh(&self) -> Result<(), RedisError> {
        if !self.known.read().is_stale() {
            return Ok(());
        }
        let mut refreshes = self.refreshes.lock().await;
        let is_refreshed = !self.known.read().is_stale();
        if is_refreshed {
            return Ok(());
        }
        let (at, breaker) = &mut *refreshes;
        breaker.try_acquire(self.clock.moment())?;
        if let Some(at) = at {
            time::sleep((*at + REFRESH_PAUSE).since(self.clock.moment())).await;
        }
        // What is invalidated while servers are asked is refreshed again.
        let invalidations = self.known.read().invalidations;
        let view = self.newest_view().await;
        *at = Some(self.clock.moment());
        let view = view.inspect_err(|why| breaker.record_failure(why, self.clock.moment()))?;
        breaker.close();
        let mut known = self.known.write();
        known.refreshed = invalidations;
        // A server that was partitioned away may answer with an older view.
        if view.epoch >= known.view.epoch && view != known.view {
            if !known.view.slots.is_empty() {
                let nodes: Vec<_> = view.slots.nodes().iter().map(ToString::to_string).collect();
                info!(epoch = view.epoch, ?nodes, "other servers are responsible in Redis");
            }
            known.view = view;
            known.changes += 1;
            drop(known);
            self.changed.notify_waiters();
        }
        Ok(())
    }

    /// Asks all servers at once, and believes the view with the highest epoch.
    async fn newest_view(&self) -> Result<TopologyView, RedisError> {
        let mut answers = FuturesUnordered::new();
        for endpoint in self.informants() {
            let kind = self.deployment.kind.clone();
            answers.push(async move {
                match time::timeout(ANSWER_TIMEOUT, ask_one(&endpoint, &kind)).await {
                    Ok(answer) => answer,
                    Err(_) => Err(RedisError::Io("no answer in time".to_owned())),
                }
            });
        }
        let (mut newest, mut refused): (Option<TopologyView>, _) = (None, None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(view) if newest.as_ref().is_none_or(|newest| newest.epoch < view.epoch) => newest = Some(view),
                // A wrong mode is the reason only when no server gives another one.
                Err(error) if refused.is_none() || !matches!(error, RedisError::Misconfigured(_)) => {
                    refused = Some(error)
                }
                Ok(_) | Err(_) => {}
            }
        }
        newest.ok_or_else(|| refused.unwrap_or_else(|| RedisError::Io("the URL names nobody to ask".to_owned())))
    }

    /// The Sentinels, or the nodes of a Cluster that are known.
    fn informants(&self) -> Vec<RedisEndpoint> {
        let mut endpoints = self.deployment.seeds.clone();
        if self.deployment.kind == DeploymentKind::Cluster {
            let known = self.known.read();
            endpoints.extend(known.view.slots.nodes().iter().map(|node| self.deployment.endpoint(node)));
        }
        endpoints
    }
}

async fn ask_one(endpoint: &RedisEndpoint, kind: &DeploymentKind) -> Result<TopologyView, RedisError> {
    let mut transport = endpoint.connect(ANSWER_TIMEOUT).await?;
    match kind {
        DeploymentKind::Single => Err(RedisError::Server("there is nobody to ask".to_owned())),
        DeploymentKind::Sentinel { master } => sentinel::ask(&mut transport, master).await,
        DeploymentKind::Cluster => cluster::ask(&mut transport, endpoint).await,
    }
}
