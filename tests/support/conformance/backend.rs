//! What a backend must provide for the cases to run. Knows none of them.

use std::sync::Arc;

use synckairos::engine::Timestamp;
use synckairos::store::{self, Lifetimes, Listener};

/// A kind of store, and one that is open.
pub trait Backend: Sized + Send + Sync {
    /// An empty store that shares nothing with others, whose watched sessions' changes go to `listener`, and which keeps
    /// sessions for so long.
    fn open(listener: Arc<dyn Listener>, lifetimes: Lifetimes) -> impl Future<Output = Self> + Send;

    /// The store.
    fn store(&self) -> Arc<dyn store::Backend>;

    /// Lets time pass until the authority's time is `at`, or later.
    fn pass_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send {
        async move { self.store().sleep_until(0, at).await }
    }
}
