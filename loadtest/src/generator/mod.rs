//! The generator itself: connections, when they send, whether what comes back is right, and what is taken down of it. Does
//! not know scenarios, servers or reports.

pub(crate) mod check;
pub(crate) mod drive;
pub(crate) mod errands;
pub(crate) mod failure;
pub(crate) mod http;
pub(crate) mod pace;
pub(crate) mod sample;
pub(crate) mod scan;
pub(crate) mod sessions;
pub(crate) mod socket;
pub(crate) mod switches;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
