//! Requests of the server's own to other servers over HTTP: which addresses may be reached, and how much is read of an answer.
//! Does not know what is asked for.

mod address;
mod client;
mod url;

pub use address::Reach;
pub use client::{Fetched, OutboundClient, OutboundError};
pub use url::OutboundUrl;
