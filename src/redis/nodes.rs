//! What is known of the servers behind a URL: who answers for which slot. Asks those who know when it is in doubt.
//! Does not know what is kept on them.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};
use tracing::info;

use crate::clock::{Clock, Moment};

use super::address::Address;
use super::client::Client;
use super::gate::Gate;
use super::link::LinkError;
use super::table::{Node, Table};
use super::url::Topology;
use super::{cluster, sentinel};

/// How long those who know may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);
/// How soon they are asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// What somebody says who should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// What is newer has a higher one.
    pub(super) epoch: u64,
    pub(super) table: Table,
}

/// Somebody who listens.
type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is announced, until it is dropped.
pub(super) struct Announcements {
    told: mpsc::Receiver<()>,
    listeners: FuturesUnordered<Wait>,
}

impl Announcements {
    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        let listening = async {
            while self.listeners.next().await.is_some() {}
            std::future::pending().await
        };
        tokio::select! {
            Some(()) = self.told.recv() => {}
            () = listening => {}
        }
    }
}

/// The servers behind a URL.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) address: Address,
    clock: Clock,
    known: RwLock<Known>,
    /// Somebody else answers for something.
    changed: Notify,
    /// When they were asked last, and whether anybody said something; whoever wants to ask holds it.
    asked: AsyncMutex<(Option<Moment>, Gate)>,
    /// The ways to each.
    gates: Mutex<HashMap<String, Gate>>,
}

#[derive(Debug)]
struct Known {
    told: Told,
    /// How often something else was known than before.
    changes: u64,
    /// How often it was in doubt, and which of these times somebody was asked after.
    doubts: u64,
    answered: u64,
}

impl Known {
    fn is_in_doubt(&self) -> bool {
        self.answered < self.doubts
    }
}

impl Nodes {
    /// Nothing is known yet.
    pub(super) fn new(address: Address) -> Self {
        let told = Told { epoch: 0, table: Table::default() };
        let known = RwLock::new(Known { told, changes: 0, doubts: 1, answered: 0 });
        let (asked, gates) = (AsyncMutex::default(), Mutex::default());
        Self { address, clock: Clock::system(), known, changed: Notify::new(), asked, gates }
    }

    /// What comes of going to a server; who has just failed keeps others from it.
    pub(super) async fn go<T>(
        &self,
        client: &Client,
        made: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        let name = client.to_string();
        self.gates.lock().entry(name.clone()).or_default().enter(self.clock.moment())?;
        let made = made.await;
        let mut gates = self.gates.lock();
        let gate = gates.entry(name).or_default();
        match &made {
            Ok(_) => gate.open(),
            Err(why) => gate.fail(why, self.clock.moment()),
        }
        made
    }

    /// What is known may be wrong.
    pub(super) fn doubt(&self) {
        self.known.write().doubts += 1;
    }

    /// One slot is somebody else's.
    pub(super) fn moved(&self, slot: u16, node: Node) {
        let mut known = self.known.write();
        known.told.table.moved(slot, node);
        known.changes += 1;
        known.doubts += 1;
        drop(known);
        self.changed.notify_waiters();
    }

    pub(super) fn changes(&self) -> u64 {
        self.known.read().changes
    }

    pub(super) fn is_at(&self, slot: u16, node: &Node) -> bool {
        self.known.read().told.table.node(slot) == Some(node)
    }

    /// Tells whenever somebody announces a change; never, if nobody does.
    pub(super) fn listen(&self) -> Announcements {
        let (tell, told) = mpsc::channel(1);
        let listeners = FuturesUnordered::<Wait>::new();
        if matches!(self.address.topology, Topology::Sentinel { .. }) {
            for client in &self.address.named {
                listeners.push(Box::pin(sentinel::listen(client.clone(), tell.clone())));
            }
        }
        Announcements { told, listeners }
    }

    /// Waits until somebody else answers for a slot.
    pub(super) async fn left(&self, slot: u16, node: &Node) {
        loop {
            // What changes after this is noticed, before it is looked at.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if !self.is_at(slot, node) {
                return;
            }
            changed.await;
        }
    }

    /// Who answers for a slot.
    pub(super) async fn find(&self, slot: u16) -> Result<Node, LinkError> {
        let asked = self.known().await;
        let node = self.known.read().told.table.node(slot).cloned();
        match (node, asked) {
            (Some(node), _) => Ok(node),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(LinkError::Lost(format!("nobody answers for the hash slot {slot}"))),
        }
    }

    /// Asks whoever should know, if there is doubt. Who comes while somebody asks shares the answer.
    pub(super) async fn known(&self) -> Result<(), LinkError> {
        if !self.known.read().is_in_doubt() {
            return Ok(());
        }
        let mut asked = self.asked.lock().await;
        let is_answered = !self.known.read().is_in_doubt();
        if is_answered {
            return Ok(());
        }
        let (at, gate) = &mut *asked;
        gate.enter(self.clock.moment())?;
        if let Some(at) = at {
            tokio::time::sleep((*at + PAUSE).since(self.clock.moment())).await;
        }
        // What comes into doubt while they are asked is asked again.
        let doubts = self.known.read().doubts;
        let told = self.ask().await;
        *at = Some(self.clock.moment());
        let told = told.inspect_err(|why| gate.fail(why, self.clock.moment()))?;
        gate.open();
        let mut known = self.known.write();
        known.answered = doubts;
        // Somebody who was cut off may not have heard of what is known here.
        if told.epoch >= known.told.epoch && told != known.told {
            if !known.told.table.0.is_empty() {
                let nodes: Vec<_> = told.table.nodes().iter().map(ToString::to_string).collect();
                info!(epoch = told.epoch, ?nodes, "other servers are responsible in Redis");
            }
            known.told = told;
            known.changes += 1;
            drop(known);
            self.changed.notify_waiters();
        }
        Ok(())
    }

    /// Asks everybody at once, and believes who knows the newest.
    async fn ask(&self) -> Result<Told, LinkError> {
        let mut answers = FuturesUnordered::new();
        for client in self.who_should_know() {
            let topology = self.address.topology.clone();
            answers.push(async move {
                match tokio::time::timeout(ANSWER_TIMEOUT, ask_one(&client, &topology)).await {
                    Ok(answer) => answer,
                    Err(_) => Err(LinkError::Lost("no answer in time".to_owned())),
                }
            });
        }
        let (mut newest, mut refused): (Option<Told>, _) = (None, None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(told) if newest.as_ref().is_none_or(|newest| newest.epoch < told.epoch) => newest = Some(told),
                // That all of them are the wrong ones is told when nobody says anything else.
                Err(error) if refused.is_none() || !matches!(error, LinkError::Unfit(_)) => refused = Some(error),
                Ok(_) | Err(_) => {}
            }
        }
        newest.ok_or_else(|| refused.unwrap_or_else(|| LinkError::Lost("the URL names nobody to ask".to_owned())))
    }

    fn who_should_know(&self) -> Vec<Client> {
        let mut clients = self.address.named.clone();
        if self.address.topology == Topology::Cluster {
            let known = self.known.read();
            clients.extend(known.told.table.nodes().iter().map(|node| self.address.at(node)));
        }
        clients
    }
}

async fn ask_one(client: &Client, topology: &Topology) -> Result<Told, LinkError> {
    let mut exchange = client.connect(ANSWER_TIMEOUT).await?;
    match topology {
        Topology::Single => Err(LinkError::Refused("there is nobody to ask".to_owned())),
        Topology::Sentinel { master } => sentinel::ask(&mut exchange, master).await,
        Topology::Cluster => cluster::ask(&mut exchange, client).await,
    }
}
