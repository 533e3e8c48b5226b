//! The embedded backend with a data directory: the contract, with every change durable before it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use synckairos::clock::Clock;
use synckairos::store::file::{DataDir, Journaled};
use synckairos::store::memory::{Limit, Memory};
use synckairos::store::{self, Lifetimes, Listener, Metrics};

use test_support::conformance::Backend;
use test_support::directory::Directory;

/// A store in a directory of its own.
struct Kept(Memory<Journaled>, #[expect(dead_code, reason = "it ends with the store")] Directory);

impl Backend for Kept {
    async fn open(listener: Arc<dyn Listener>, lifetimes: Lifetimes) -> Self {
        let directory = Directory::new();
        let (clock, metrics) = (Clock::system(), Metrics::default());
        let data = DataDir::open(directory.path(), clock.clone(), Duration::from_secs(20), metrics.clone());
        let limit = Limit { sessions_max: 1_000, lifetimes, ..Limit::default() };
        let store = Memory::open(clock, limit, listener, metrics, &data.expect("it is new"));
        Self(store.expect("there is nothing"), directory)
    }

    fn store(&self) -> Arc<dyn store::Backend> {
        Arc::new(self.0.clone())
    }
}

test_support::cases!(Kept);
