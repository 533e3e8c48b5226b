//! What everything in Redis shares: names, how a connection is made, and whether a
//! server can be used at all. Does not know what is kept there.

mod fitness;
mod keyspace;
mod link;

pub use fitness::{Unfit, unfit};
pub use keyspace::{Keyspace, Partition, Queue};
pub use link::{Link, LinkError, Server, refusal};
