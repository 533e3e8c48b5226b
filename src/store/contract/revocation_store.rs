//! The contract of what keeps revocations beyond a process, for all instances. Does not know what is done with them: every
//! instance has them all in memory.

use crate::wire::Revocation;

use super::error::{BoxFuture, StoreFuture};

/// Keeps revocations.
pub trait RevocationStore: Send + Sync {
    /// Keeps some, which take the place of `replaced`, and tells other instances. What is kept already may be kept again.
    fn keep(&self, revocations: Vec<Revocation>, replaced: Vec<Revocation>) -> StoreFuture<'_, ()>;

    /// All that is kept; `None` when nothing was kept since this process asked last, and the answer to that is known
    /// (`is_known`).
    fn kept(&self, is_known: bool) -> StoreFuture<'_, Option<KeptRevocations>>;

    /// Waits until another instance has kept some, which are returned; or until some may have been missed, of which none are.
    fn heard(&self) -> BoxFuture<'_, Vec<Revocation>> {
        Box::pin(std::future::pending())
    }
}

/// Revocations as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptRevocations {
    /// Those that are not over, and perhaps some that are.
    pub revocations: Vec<Revocation>,
    /// Nothing was ever kept here, or all of it was lost.
    pub is_empty: bool,
}
