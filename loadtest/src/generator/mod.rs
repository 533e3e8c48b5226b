//! The generator itself: connections, the pace at which they send, the checks of responses, and the samples that record
//! latencies. Does not know scenarios, servers or reports.

pub(crate) mod check;
pub(crate) mod credential;
pub(crate) mod worker_pool;
pub(crate) mod workload;
pub(crate) mod failure;
pub(crate) mod http;
pub(crate) mod pace;
pub(crate) mod sample;
pub(crate) mod scan;
pub(crate) mod sessions;
pub(crate) mod socket;
pub(crate) mod switches;
pub(crate) mod watchers;

#[cfg(test)]
mod tests;
