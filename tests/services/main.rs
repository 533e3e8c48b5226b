//! The tier of services: the server with real Redis servers, PostgreSQL, proxies, and the programs that read our packaging.
//! `tests/run` installs those and runs this; `cargo test` alone does not.

mod audit;
#[cfg(target_os = "linux")]
mod browser;
mod clients;
mod clocks;
mod conformance;
mod descriptions;
mod docs;
mod every_change;
mod healthcheck;
mod histories;
mod licences;
mod metrics;
#[cfg(target_os = "linux")]
mod packaging;
mod players;
mod postgres;
mod proxies;
mod redis;
mod secrets;
mod supervision;
