//! The fast tier: all that is true of the server by itself, in its own process or as a program. No test here starts or needs
//! another program; what does is in `services`.

mod api_docs;
mod auth;
mod conformance;
mod corpora;
mod docs;
mod file;
mod flags;
mod healthcheck;
mod http;
mod logging;
mod metrics;
#[cfg(target_os = "linux")]
mod sd_notify;
mod shell;
mod supervision;
mod tidy;
mod time_controls;
mod ws;
