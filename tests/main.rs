//! All integration tests, in one binary: a file for each behaviour, `support` for what they share.

mod api_docs;
mod audit;
mod conformance;
mod file;
mod flags;
mod http;
mod loadtest;
mod metrics;
mod redis;
mod shell;
mod support;
mod tidy;
mod writer;
mod ws;
