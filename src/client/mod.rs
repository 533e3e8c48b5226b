//! Who asks, as limits count them: one key for each client address, the client behind a trusted proxy, somebody who is known. Does not
//! know what is counted.

mod address;
mod forwarded;
mod id;
mod network;

pub use address::ClientAddress;
pub use forwarded::{Hops, TrustedProxies};
pub use id::ClientId;
pub use network::Network;
