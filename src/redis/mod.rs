//! What everything in Redis shares: names, who keeps them, how a connection is made, and whether a server can be
//! used at all. Does not know what is kept there.

mod address;
mod bell;
mod client;
mod cluster;
mod commands;
mod exchange;
mod fitness;
mod gate;
mod keyspace;
mod link;
mod nodes;
mod privileges;
mod reply;
mod sentinel;
mod server;
mod subscriber;
mod table;
mod url;

pub use address::{Access, Certificates};
pub use bell::Bell;
pub use commands::{Commands, Word};
pub use fitness::{Fitness, ask_keys, examine, is_addable, judge_keys, not_addable};
pub use gate::Gate;
pub use keyspace::{Keyspace, Partition, Queue};
pub use link::{Link, LinkError, Unfit};
pub use reply::Reply;
pub use server::Server;
pub use subscriber::{PendingSubscribe, Subscriber};
