//! Who asks, over HTTP and WebSocket alike. It is established once, where a request or a handshake comes in, and handed on with
//! it. Does not know what is asked.

use std::fmt;
use std::sync::Arc;

use crate::auth::{Action, AuthError, Denied, Identity, IdentityName, Permission, permit, permit_any};
use crate::client::{ClientAddress, ClientId};
use crate::engine::SessionId;

/// Who sends a request, or is at the other end of a WebSocket.
#[derive(Clone, Debug)]
pub struct Caller {
    address: ClientAddress,
    authentication: Authentication,
}

/// What is known of who somebody is.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Nobody is asked: everybody may do everything.
    Open,
    /// Somebody.
    Identified(Arc<Identity>),
    /// Nobody, and why.
    Refused(AuthError),
}

impl Caller {
    /// Somebody at an address.
    pub fn new(address: ClientAddress, authentication: Authentication) -> Self {
        Self { address, authentication }
    }

    /// What is known of who it is.
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// Who it is, where that is known.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match &self.authentication {
            Authentication::Identified(identity) => Some(identity),
            Authentication::Open | Authentication::Refused(_) => None,
        }
    }

    /// Why it is nobody, where its issuer's keys may say otherwise when they are read again.
    pub fn awaits_keys(&self) -> Option<&AuthError> {
        match &self.authentication {
            Authentication::Refused(error) if !error.sets().is_empty() => Some(error),
            Authentication::Open | Authentication::Identified(_) | Authentication::Refused(_) => None,
        }
    }

    /// The address that it asks from.
    pub fn address(&self) -> ClientAddress {
        self.address
    }

    /// Whom limits count: somebody who is known, or else an address.
    pub fn counted(&self) -> ClientId {
        self.identity().map_or(self.address.into(), |identity| identity.counted())
    }

    /// Whom the general limit counts: keys are of servers, which ask for many.
    pub fn generally_counted(&self) -> Option<ClientId> {
        match self.identity().map(|identity| identity.name()) {
            Some(IdentityName::Key(_)) => None,
            Some(IdentityName::Subject(_)) | None => Some(self.counted()),
        }
    }

    /// Whether it may know what is wrong with the server.
    pub fn may_know_reasons(&self) -> bool {
        self.permit_any(Permission::Metrics).or(self.permit_any(Permission::Admin)).is_ok()
    }

    /// Whether it may do something about the installation.
    pub fn permit_any(&self, permission: Permission) -> Result<(), Denied> {
        match &self.authentication {
            Authentication::Open => Ok(()),
            Authentication::Identified(identity) => permit_any(identity, permission),
            Authentication::Refused(_) => Err(Denied::Nobody),
        }
    }

    /// Whether it may do something to a session.
    pub fn permit(&self, id: SessionId, action: Action<'_>) -> Result<(), Denied> {
        match &self.authentication {
            Authentication::Open => Ok(()),
            Authentication::Identified(identity) => permit(identity, id, action),
            Authentication::Refused(_) => Err(Denied::Nobody),
        }
    }
}

/// As logs name it.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity() {
            Some(identity) => write!(f, "{} {}", self.address, identity.name()),
            None => self.address.fmt(f),
        }
    }
}
