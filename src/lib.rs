//! SyncKairos keeps clocks in sync for many people at once.
//!
//! The way of a request: `http` -> `sessions` -> `engine` (pure) -> `store` -> `ws` -> clients.

pub mod engine;
