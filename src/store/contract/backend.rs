//! A backend: every role of the contract, and the tasks behind them. Does not know what its parts are handed to.

use crate::readiness::Finding;

use super::deadlines::Deadlines;
use super::error::BoxFuture;
use super::rate_limiter::RateLimiter;
use super::session_store::SessionStore;

/// Keeps sessions, their deadlines and the rate limits.
pub trait Backend: SessionStore + Deadlines + RateLimiter {
    /// The backend's own upkeep; runs until it is dropped. It ends by itself when the backend cannot be used and waiting
    /// does not help.
    fn run(&self) -> BoxFuture<'_, ()>;

    /// Everything that is wrong with the backend now: what keeps requests from being served, and what else does not work.
    fn health(&self) -> Vec<Finding>;
}
