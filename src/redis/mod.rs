//! Our Redis client: names of keys, the topology of a deployment, how a connection is made, and whether a server can be
//! used at all. Does not know what is kept there.

mod acl;
mod circuit_breaker;
mod connection;
mod endpoints;
mod error;
mod info;
mod keyspace;
mod preflight;
mod protocol;
mod routing;
mod server;
mod subscriber;
mod wake_up;

pub use circuit_breaker::CircuitBreaker;
pub use connection::RedisConnection;
pub use endpoints::access::{Certificates, RedisAccess};
pub use error::{Misconfigured, RedisError};
pub use keyspace::{Keyspace, Partition, QueueKey};
pub use preflight::{PreflightReport, check_key_types, is_addable, not_addable, preflight, query_key_types};
pub use protocol::pipeline::{Pipeline, ToArg};
pub use protocol::resp;
pub use server::RedisServer;
pub use subscriber::{PendingSubscribe, Subscriber};
pub use wake_up::WakeUp;
