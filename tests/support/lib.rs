//! What tests, benches and the load generator share: servers of their own, clients, sessions to create. Knows the wire format as
//! any client does; with the feature `server` also the server's code, to run it in the test's own process.

#![allow(missing_docs, reason = "what a test uses says what it is by its name")]
#![allow(clippy::new_without_default, clippy::len_without_is_empty, reason = "a server is started, not defaulted")]

pub mod dice;
pub mod directory;
pub mod instant;
pub mod outer_run;
pub mod postgres;
pub mod redis;

#[cfg(feature = "server")]
pub mod certificates;
#[cfg(feature = "server")]
pub mod chromium;
#[cfg(feature = "server")]
pub mod cluster;
#[cfg(feature = "server")]
pub mod conformance;
#[cfg(feature = "server")]
pub mod data_dir;
#[cfg(feature = "server")]
pub mod faketime;
#[cfg(feature = "server")]
pub mod faulty;
#[cfg(feature = "server")]
pub mod frames;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod issuer;
#[cfg(feature = "server")]
pub mod keys;
#[cfg(feature = "server")]
pub mod life;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "server")]
pub mod pages;
#[cfg(feature = "server")]
pub mod planted;
#[cfg(feature = "server")]
pub mod program;
#[cfg(feature = "server")]
pub mod proxy;
#[cfg(feature = "server")]
pub mod replicas;
#[cfg(feature = "server")]
pub mod sentinel;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod sessions;
#[cfg(feature = "server")]
pub mod site;
#[cfg(feature = "server")]
pub mod sources;
#[cfg(feature = "server")]
pub mod still;
#[cfg(feature = "server")]
pub mod tokens;
#[cfg(feature = "server")]
pub mod wait;
#[cfg(feature = "server")]
pub mod ws;
