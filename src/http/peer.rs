//! The other end of a connection, and the client that asks through it. Does not know what they ask.

use std::net::IpAddr;

use hyper::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::client::{ClientAddress, Hops, TrustedProxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    address: ClientAddress,
    is_trusted: bool,
}

impl Peer {
    /// At an address, or at the other end of a Unix socket: who may open that is a proxy, or as good as one.
    pub(super) fn new(ip: Option<IpAddr>, proxies: &TrustedProxies) -> Self {
        match ip {
            Some(ip) => Self { address: ClientAddress::of(ip), is_trusted: proxies.contains(ip) },
            None => Self { address: ClientAddress::UNIX, is_trusted: true },
        }
    }

    pub(super) fn address(&self) -> ClientAddress {
        self.address
    }

    /// Whether it is trusted to say who asks.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Who sent a request.
    pub(super) fn client(&self, headers: &HeaderMap, proxies: &TrustedProxies) -> ClientAddress {
        if !self.is_trusted {
            return self.address;
        }
        let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let hops = Hops { forwarded: values(FORWARDED), x_forwarded_for: values(X_FORWARDED_FOR) };
        proxies.client(hops).unwrap_or(self.address)
    }
}
