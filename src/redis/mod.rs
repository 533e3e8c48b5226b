//! What everything in Redis shares: names, and how a connection is made. Does not know what is kept there.

mod keyspace;
mod link;

pub use keyspace::{Keyspace, Partition};
pub use link::{Link, LinkError, Server};
