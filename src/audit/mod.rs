//! The audit queue: a committed change waits in Redis as a job until it is a row of the database, at least once in Redis,
//! exactly once in the database. Does not know sessions: a job is bytes with a header.
//!
//! ```text
//! committers --> wait -----fetch--> batch (leased) --ack: written--> done
//!                delayed --fetch-->   |---ack: failed, or reaped----> delayed
//!                                     '---ack: too many attempts----> dead --redrive--> delayed
//! ```

mod ack;
mod admin;
mod assignment;
mod away;
mod backoff;
mod consumer;
mod database_breaker;
mod health;
mod inbox;
mod inspect;
mod leased_batch;
mod metrics;
mod poison_jobs;
mod pool;
mod processor;
mod queue;
mod queued_job;
mod replies;
mod scripts;
mod sink;
mod writer_thread;

pub use admin::QueueAdmin;
pub use away::AwayCollector;
pub use consumer::Consumer;
pub use health::AuditHealth;
pub use inspect::QueueStats;
pub use metrics::AuditMetrics;
pub use queue::AuditQueue;
pub use sink::{Sink, Sinks, WriteError};
