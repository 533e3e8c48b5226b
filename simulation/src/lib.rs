//! What a deterministic simulation of SyncKairos runs on: a Redis in memory, what the server uses of it, without I/O; and
//! a scheduler whose choices and time a seed repeats. Does not know SyncKairos.

pub mod audit_scripts;
pub mod dice;
pub mod redis;
pub mod scheduler;
