//! The audit queue on a real Redis, with what a database may do to it: `queue` with sinks that fail as they are
//! told.

mod queue;
