//! SyncKairos keeps clocks in sync for many people at once.
//!
//! The way of a request: `http` -> `sessions` -> `engine` (pure) -> `store` -> `ws` -> clients.

pub mod clock;
pub mod engine;
pub mod store;
pub mod wire;
