//! The audit: every change is written down for good. Does not know sessions: a job is bytes.

mod sink;

pub use sink::{Sink, WriteError};
