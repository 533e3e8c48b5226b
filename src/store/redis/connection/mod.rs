//! What every task needs that talks to Redis: a connection of its own, what replies mean, the counters of rate limits, and
//! jitter. Does not know what is asked.

pub(super) mod jitter;
pub(super) mod lazy_connection;
pub(super) mod limits;
pub(super) mod replies;
