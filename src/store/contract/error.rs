//! What a call to a backend returns: a future, and the errors it may end with. Each error says whether a retry helps. Does
//! not know what a client is answered.

use std::future::Future;
use std::pin::Pin;

/// The result of a call to a store.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A future that completes by itself.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a store cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store is unavailable, and nothing was changed: a retry may help.
    Unavailable(&'static str),
    /// The change may or may not have been made.
    UnknownOutcome,
    /// What is stored is no state.
    Unreadable,
    /// What is stored was written by a newer server, in a format that this one does not know.
    Newer,
    /// What would be written is in a format that not every server reads that shares the store; nothing was changed.
    TooNew,
    /// The store did something in part.
    Broken,
    /// The decision panicked, and nothing was changed.
    Fault,
}
