//! What a deterministic simulation of SyncKairos runs on: a Redis in memory, what the server uses of it, on a network
//! where things go wrong; and a scheduler whose choices and time a seed repeats. Does not know SyncKairos.
//!
//! ```text
//! scheduler   tasks, processes, time      scheduler.rs
//! network     streams that can be cut     stream.rs
//! host        a Redis on the network      host.rs
//!   redis     what it does                redis/, scripts.rs
//! ```

pub mod scripts;
pub mod dice;
pub mod host;
pub mod redis;
pub mod scheduler;
pub mod stream;
pub mod world;
