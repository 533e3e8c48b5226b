//! A Redis server as a value: a caller connects clients, hands over their commands one at a time with the time of each,
//! and delivers the replies and messages that come of them. The tests hold its replies against those of a real server.
//!
//! ```text
//! FakeRedis   clients: WATCH, MULTI, subscriptions         server.rs
//!   commands  a table: name, arity, whether it needs memory commands.rs
//!   keyspace  values by key, when they expire, versions     keyspace.rs, and a file for each type of value
//!   scripts   what each known Lua script does, in Rust      scripts.rs
//! ```

mod args;
mod commands;
mod hashes;
mod keys;
mod keyspace;
mod lists;
mod pubsub;
mod reply;
mod scripts;
mod server;
mod sorted_sets;
mod strings;

pub use keyspace::Written;
pub use reply::Reply;
pub use scripts::{Script, ScriptContext, ScriptError};
pub use server::{ClientId, Delivery, FakeRedis};
