//! Admission of connections: a limit on all, a limit for each address, and a reserve beside them in which probes are still
//! answered. Does not know what happens on a connection.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::client::ClientAddress;

use super::peer::Peer;

/// Connections of one address in the reserve, so that no client takes all of it.
const RESERVE_OF_ADDRESS_MAX: u32 = 8;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Open at the same time, WebSockets included.
    pub connections_max: u32,
    /// Of them of one address; `None` is without limit.
    pub of_address_max: Option<u32>,
    /// Beside them, for probes.
    pub reserve: u32,
}

/// Descriptors that are left to connections of which one in so many is in the reserve, where they are few.
const RESERVE_PART: u64 = 4;

impl ConnectionLimits {
    /// No more than so many descriptors allow, the reserve included.
    pub fn within(self, descriptors: u64) -> Self {
        let reserve = u64::from(self.reserve).min(descriptors / RESERVE_PART).max(1);
        let left = descriptors.saturating_sub(reserve).max(1);
        let connections_max = u64::from(self.connections_max).min(left);
        Self { connections_max: connections_max as u32, reserve: reserve as u32, ..self }
    }
}

/// Lets connections in.
#[derive(Debug)]
pub(super) struct Admission {
    limits: ConnectionLimits,
    open: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    /// Counted only where there is a limit.
    of_address: Arc<Addresses>,
    reserve_of_address: Arc<Addresses>,
    is_full: Mutex<bool>,
}

/// What a connection may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionScope {
    /// Everything.
    All,
    /// How the server is, once.
    Probes,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct AdmittedConnection {
    pub(super) scope: ConnectionScope,
    _permit: OwnedSemaphorePermit,
    _counted: Option<CountedConnection>,
}

impl Admission {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits as usize));
        Self {
            limits,
            open: semaphore(limits.connections_max),
            reserve: semaphore(limits.reserve),
            of_address: Arc::default(),
            reserve_of_address: Arc::default(),
            is_full: Mutex::new(false),
        }
    }

    /// A place for a peer; `None` when there is none, not even in the reserve.
    pub(super) fn admit(&self, peer: &Peer) -> Option<AdmittedConnection> {
        let counted = match self.limits.of_address_max.filter(|_| !peer.is_trusted()) {
            Some(max) => match Addresses::enter(&self.of_address, peer.address(), max) {
                Ok(counted) => Some(counted),
                Err(is_first) => {
                    if is_first {
                        warn!(client = %peer.address(), max, "refusing connections: this address has as many as one may");
                    }
                    return self.reserved(peer);
                }
            },
            None => None,
        };
        let permit = Arc::clone(&self.open).try_acquire_owned().ok();
        let was_full = std::mem::replace(&mut *self.is_full.lock(), permit.is_none());
        match permit {
            Some(permit) => {
                Some(AdmittedConnection { scope: ConnectionScope::All, _permit: permit, _counted: counted })
            }
            None => {
                if !was_full {
                    warn!(client = %peer.address(), "refusing connections: there are as many as there may be");
                }
                self.reserved(peer)
            }
        }
    }

    fn reserved(&self, peer: &Peer) -> Option<AdmittedConnection> {
        let counted = Addresses::enter(&self.reserve_of_address, peer.address(), RESERVE_OF_ADDRESS_MAX).ok()?;
        let permit = Arc::clone(&self.reserve).try_acquire_owned().ok()?;
        Some(AdmittedConnection { scope: ConnectionScope::Probes, _permit: permit, _counted: Some(counted) })
    }
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<ClientAddress, AddressCounts>>);

#[derive(Debug, Default)]
struct AddressCounts {
    count: u32,
    /// One was refused since there were none.
    is_refused: bool,
}

impl Addresses {
    /// One more, unless there are `max`; then whether it is the first that is refused.
    fn enter(this: &Arc<Self>, address: ClientAddress, max: u32) -> Result<CountedConnection, bool> {
        let mut addresses = this.0.lock();
        let connections = addresses.entry(address).or_default();
        if connections.count >= max {
            return Err(!std::mem::replace(&mut connections.is_refused, true));
        }
        connections.count += 1;
        Ok(CountedConnection { address, among: Arc::clone(this) })
    }
}

/// A connection that is counted until it is dropped.
#[derive(Debug)]
struct CountedConnection {
    address: ClientAddress,
    among: Arc<Addresses>,
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut addresses = self.among.0.lock();
        if let Some(connections) = addresses.get_mut(&self.address) {
            connections.count -= 1;
            if connections.count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
