//! All integration tests, in one binary: a file for each behaviour, `support` for what they share.

mod api_docs;
mod audit;
mod conformance;
mod docs;
mod file;
mod flags;
mod healthcheck;
mod http;
mod licences;
mod logging;
mod metrics;
#[cfg(target_os = "linux")]
mod packaging;
mod postgres;
mod redis;
#[cfg(target_os = "linux")]
mod sd_notify;
mod secrets;
mod shell;
mod supervision;
mod support;
mod tidy;
mod ws;
