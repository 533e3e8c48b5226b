//! The audit queue: every change is written down for good, at least once from Redis, exactly once in the
//! database. Does not know sessions: a job is bytes with a name.
//!
//! ```text
//! committers --> wait -----fetch--> batch (leased) --written--> done
//!                delayed --fetch-->   |---could not be written, or reaped--> delayed
//!                                     '---tried often enough--> dead --redrive--> delayed
//! ```

mod agent;
mod away;
mod carried;
mod consumer;
mod fault;
mod metrics;
mod operator;
mod pool;
mod queue;
mod replies;
mod scripts;
mod settlement;
mod sink;
mod standing;
mod survey;

pub use away::AwayCollector;
pub use consumer::Consumer;
pub use metrics::Metrics;
pub use operator::{Operator, Stats};
pub use queue::Queue;
pub use sink::{Sink, Sinks, WriteError};
pub use standing::Standing;
