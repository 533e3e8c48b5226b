//! What everything in Redis shares: names, who keeps them, how a connection is made, and whether a server can be
//! used at all. Does not know what is kept there.

mod address;
mod client;
mod cluster;
mod fitness;
mod keyspace;
mod link;
mod nodes;
mod privileges;
mod sentinel;
mod server;
mod subscriber;
mod table;

pub use address::Certificates;
pub use fitness::examine;
pub use keyspace::{Keyspace, Partition, Queue};
pub use link::{Link, LinkError, Unfit, refusal};
pub use server::Server;
pub use subscriber::Subscriber;
