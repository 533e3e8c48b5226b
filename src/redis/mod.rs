//! Our Redis client: names of keys, the topology of a deployment, how a connection is made, and whether a server can be
//! used at all. Does not know what is kept there.

mod access;
mod acl;
mod circuit_breaker;
mod cluster;
mod connection;
mod credentials;
mod deployment;
mod endpoint;
mod error;
mod info;
mod keyspace;
mod pipeline;
mod preflight;
pub mod resp;
mod route;
mod sentinel;
mod server;
mod slot_map;
mod subscriber;
mod topology;
mod transport;
mod url;
mod wake_up;

pub use access::{Certificates, RedisAccess};
pub use circuit_breaker::CircuitBreaker;
pub use connection::RedisConnection;
pub use error::{Misconfigured, RedisError};
pub use keyspace::{Keyspace, Partition, QueueKey};
pub use pipeline::{Pipeline, ToArg};
pub use preflight::{PreflightReport, check_key_types, is_addable, not_addable, preflight, query_key_types};
pub use server::RedisServer;
pub use subscriber::{PendingSubscribe, Subscriber};
pub use wake_up::WakeUp;
