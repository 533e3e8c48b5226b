//! What a request brings besides its body: who asks, when, over which connection, with which headers. Handlers are given
//! this and nothing else of HTTP. Does not know where the request leads, nor what is answered.

use hyper::Method;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use parking_lot::Mutex;

use crate::auth::AuthError;
use crate::caller::{Authentication, Caller};
use crate::client::TrustedProxies;
use crate::clock::Moment;
use crate::sessions::Sessions;

use super::access::{Access, KnownCredential};
use super::admission::ConnectionScope;
use super::handlers::handling::Handling;
use super::metrics::Series;
use super::peer::Peer;
use super::request_id::RequestIds;
use super::surface::Surface;

/// A request whose head was read.
#[derive(Debug)]
pub(super) struct RequestContext<'r> {
    pub(super) caller: Caller,
    /// What the listener serves that it came to.
    pub(super) surface: Surface,
    /// When the last byte of its head was read.
    pub(super) arrived_at: Moment,
    /// Its id, for logs and for the client.
    pub(super) id: &'r HeaderValue,
    /// What becomes of fields that the server does not know.
    pub(super) handling: Handling,
    parts: &'r Parts,
}

impl<'r> RequestContext<'r> {
    pub(super) fn new(
        caller: Caller,
        surface: Surface,
        arrived_at: Moment,
        id: &'r HeaderValue,
        parts: &'r Parts,
    ) -> Self {
        Self { caller, surface, arrived_at, id, handling: Handling::preferred(&parts.method, &parts.headers), parts }
    }

    /// The whole head.
    pub(super) fn parts(&self) -> &'r Parts {
        self.parts
    }

    pub(super) fn method(&self) -> &'r Method {
        &self.parts.method
    }

    pub(super) fn headers(&self) -> &'r HeaderMap {
        &self.parts.headers
    }

    pub(super) fn path(&self) -> &'r str {
        self.parts.uri.path()
    }

    /// What follows the question mark; empty without one.
    pub(super) fn query(&self) -> &'r str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// Its id as text.
    pub(super) fn id_text(&self) -> &'r str {
        self.id.to_str().unwrap_or_default()
    }
}

/// What requests of one connection have in common.
pub(super) struct ConnectionContext {
    peer: Peer,
    pub(super) scope: ConnectionScope,
    /// What the listener serves that it came to.
    pub(super) surface: Surface,
    /// As the other end of the connection asks for them.
    sessions: Sessions,
    pub(super) memo: Mutex<ConnectionMemo>,
}

/// What a connection remembers of one request for the next.
pub(super) struct ConnectionMemo {
    /// Where the last one was counted.
    pub(super) counted: Option<Series>,
    pub(super) ids: RequestIds,
    /// Whose credential the last one had.
    known: Option<KnownCredential>,
}

impl ConnectionContext {
    /// A connection of `peer`.
    pub(super) fn new(peer: Peer, scope: ConnectionScope, surface: Surface, sessions: &Sessions) -> Self {
        let memo = Mutex::new(ConnectionMemo { counted: None, ids: RequestIds::new(), known: None });
        Self { peer, scope, surface, sessions: sessions.asked_by(peer.address().into()), memo }
    }

    /// Who sends a request with such headers over the connection; whose credential need not be looked at, `access` is `None`.
    pub(super) fn caller(&self, headers: &HeaderMap, proxies: &TrustedProxies, access: Option<&Access>) -> Caller {
        let address = self.peer.client(headers, proxies);
        let authentication = match access {
            Some(access) => access.authenticate(headers, &mut self.memo.lock().known, address),
            None => Authentication::Refused(AuthError::Missing),
        };
        Caller::new(address, authentication)
    }

    /// The sessions as `caller` asks for them, if that is who the connection belongs to: most connections have one client, so
    /// that its share of the sessions need not be taken for each request.
    pub(super) fn sessions_of(&self, caller: &Caller) -> Option<&Sessions> {
        Some(&self.sessions).filter(|sessions| sessions.is_asked_by(caller.counted()))
    }
}
