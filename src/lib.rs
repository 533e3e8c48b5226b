//! SyncKairos keeps clocks in sync for many people at once.
//!
//! The way of a request: `http` -> `sessions` -> `engine` (pure) -> `store` -> `ws` -> clients. The
//! modules below stand in the order in which they are best read; each imports those above it only.

pub mod engine;
pub mod clock;
pub mod wire;
pub mod store;
pub mod sessions;
pub mod deadlines;
pub mod problem;
