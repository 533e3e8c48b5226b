//! tmp
mod metrics;
mod support;
mod supervision;
