//! A deterministic simulation of SyncKairos: instances of it on a scheduler whose choices and time a seed repeats, a network
//! where things go wrong, and a Redis in memory. Only `world` knows SyncKairos.
//!
//! ```text
//! world       instances, clients, faults  world/
//! scheduler   tasks, processes, time      scheduler.rs
//! network     streams that can be cut     stream.rs
//! host        a Redis on the network      host.rs
//!   redis     what it does                redis/
//!   scripts   what the Lua scripts do     scripts.rs
//! ```

pub mod dice;
pub mod host;
pub mod mutants;
pub mod redis;
pub mod scheduler;
pub mod scripts;
pub mod stream;
pub mod world;
