//! Who asks, over HTTP and WebSocket alike. It is established once, where a request or a handshake comes in, and handed on with
//! it. A caller is anonymous: only its address is known. Does not know what is asked, nor what a caller may do.

use std::fmt;

use crate::client_address::ClientAddress;

/// Who sends a request, or is at the other end of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    address: ClientAddress,
}

impl Caller {
    /// Somebody of whom nothing but the address is known.
    pub fn anonymous(address: ClientAddress) -> Self {
        Self { address }
    }

    /// The address that limits count.
    pub fn address(&self) -> ClientAddress {
        self.address
    }
}

/// As logs name it.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
