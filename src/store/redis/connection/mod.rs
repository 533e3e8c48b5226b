//! Connections to the server of a shard: the connector makes and examines them, and each task has one of its own. Does
//! not know what is asked on them.

mod connector;
mod lazy_connection;
mod location;

pub(super) use connector::Connector;
pub(super) use lazy_connection::{LazyConnection, RoundTrip};
pub use location::StoreLocation;
