//! SyncKairos keeps clocks in sync for many people at once.
//!
//! The way of a request: `http` -> `sessions` -> `engine` (pure) -> `store` -> `ws` -> clients. The
//! modules below stand in the order in which they are best read, from what knows nothing of the rest to
//! what knows it all.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod engine;
pub mod runtime;
pub mod clock;
pub mod memory_limit;
pub mod random;
pub mod hashing;
pub mod client;
pub mod process;
pub mod supervision;
pub mod readiness;
pub mod timekeeping;
pub mod wire;
pub mod secret;
pub mod tls;
pub mod outbound;
pub mod auth;
pub mod redis;
pub mod audit;
pub mod store;
pub mod instances;
pub mod postgres;
pub mod revocations;
pub mod sessions;
pub mod deadlines;
pub mod problem;
pub mod shutdown;
pub mod caller;
pub mod ws;
pub mod http;
pub mod config;
pub mod logging;
pub mod sd_notify;
pub mod serve;
pub mod queue_admin;
pub mod key_admin;
pub mod command_line;
pub mod maintenance;
pub mod healthcheck;
