//! The audit: `queue` with sinks that fail as they are told, everything else from a request to a row, on a real
//! Redis and a real PostgreSQL.

mod chaos;
mod outage;
mod queue;
mod recovery;
mod rig;
mod room;
mod rows;
