//! The way of every change: load, settle, apply, encode, commit. The only place where the engine, the wire and a store
//! meet. Does not know who asks, or over which protocol, nor when deadlines pass.

mod client_rate_limit;
mod commands;
mod decide;
mod history;
mod lookup_shares;
mod page;
mod reads;
mod recovery;
mod reply;
mod request;

use std::sync::Arc;

use crate::client::ClientId;
use crate::engine::{OnTimeout, SessionId};
use crate::store::{Arrival, RateLimit, SessionStore};

use page::PagePermits;

pub use client_rate_limit::ClientRateLimit;
pub use decide::STATE_LEN_MAX;
pub use page::Page;
pub use recovery::{ArchiveLookup, LookupPurpose, Recovery, RecoveryOptions};
pub use reply::{Applied, CommandReply, Failure, SessionView};
pub use request::CommandRequest;

/// All sessions of a store. Cloning shares them.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<SessionsInner>,
    /// The client that asks, if it is one.
    client: Option<ClientId>,
}

#[derive(Clone)]
struct SessionsInner {
    store: Arc<dyn SessionStore>,
    /// The limit on switches of one session.
    switch_limit: Option<RateLimit>,
    default_on_timeout: OnTimeout,
    /// Recovers sessions that the store does not have.
    recovery: Option<Arc<Recovery>>,
    page_permits: PagePermits,
}

impl Sessions {
    /// The sessions of `store`, without limits and without an archive.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        let (default_on_timeout, page_permits) = (OnTimeout::default(), PagePermits::default());
        let inner = SessionsInner { store, switch_limit: None, default_on_timeout, recovery: None, page_permits };
        Self { inner: Arc::new(inner), client: None }
    }

    fn with(self, change: impl FnOnce(&mut SessionsInner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.inner);
        change(&mut inner);
        Self { inner: Arc::new(inner), ..self }
    }

    /// With a limit on the switches of each session; `None` is without.
    pub fn with_switch_limit(self, switch_limit: Option<RateLimit>) -> Self {
        self.with(|inner| inner.switch_limit = switch_limit)
    }

    /// With what a flag does in sessions whose creator does not say.
    pub fn with_default_on_timeout(self, default_on_timeout: OnTimeout) -> Self {
        self.with(|inner| inner.default_on_timeout = default_on_timeout)
    }

    /// With an archive behind the store.
    pub fn with_recovery(self, recovery: Arc<Recovery>) -> Self {
        self.with(|inner| inner.recovery = Some(recovery))
    }

    /// The same sessions, as a client asks for them.
    pub fn asked_by(&self, client: ClientId) -> Self {
        Self { client: Some(client), ..self.clone() }
    }

    /// Whether this client asks.
    pub fn is_asked_by(&self, client: ClientId) -> bool {
        self.client == Some(client)
    }

    /// What a flag does in sessions whose creator does not say.
    pub fn default_on_timeout(&self) -> OnTimeout {
        self.inner.default_on_timeout
    }

    /// Records the arrival of a command for a session: when its last byte was read.
    pub fn arrive(&self, id: SessionId) -> Arrival {
        self.inner.store.arrive(id)
    }

    /// Looks up a session that the store does not have in the archive, if there is one.
    async fn look_up(&self, id: SessionId, purpose: LookupPurpose) -> Result<ArchiveLookup, Failure> {
        match &self.inner.recovery {
            Some(recovery) => recovery.look_up(id, purpose, self.client).await.map_err(Failure::Store),
            None => Ok(ArchiveLookup::Absent),
        }
    }
}
