//! All integration tests, in one binary: a file for each behaviour, `support` for what they share.

mod api_docs;
mod audit;
mod conformance;
mod docs;
mod file;
mod flags;
mod health;
mod http;
mod loadtest;
mod licences;
mod logging;
mod metrics;
#[cfg(target_os = "linux")]
mod notify;
#[cfg(target_os = "linux")]
mod packaging;
mod redis;
mod secrets;
mod shell;
mod supervision;
mod support;
mod tidy;
mod writer;
mod ws;
