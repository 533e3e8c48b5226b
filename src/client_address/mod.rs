//! What rate limits count: one key for each client address, and the client behind a trusted proxy. Does not know what is
//! counted.

mod address;
mod forwarded;
mod network;

pub use address::ClientAddress;
pub use forwarded::{Hops, TrustedProxies};
pub use network::Network;
