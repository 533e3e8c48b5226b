//! What a deterministic simulation of SyncKairos runs on. So far a Redis in memory: what the server uses of it, without
//! I/O, on a clock that its caller holds. Does not know SyncKairos.

pub mod audit_scripts;
pub mod redis;
