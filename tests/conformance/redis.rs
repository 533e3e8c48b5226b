//! The distributed store on a real server: the contract, unchanged.

use std::sync::Arc;
use std::time::Duration;

use synckairos::clock::Clock;
use synckairos::engine::Millis;
use synckairos::redis::{Keyspace, Server};
use synckairos::store::redis::{Options, RedisStore};
use synckairos::store::{Listener, Store};

use super::Backend;
use crate::support::redis::Redis;

/// A store on a server of its own.
struct Alone(RedisStore, #[expect(dead_code, reason = "it ends with the store")] Redis);

impl Backend for Alone {
    async fn open(listener: Arc<dyn Listener>) -> Self {
        let redis = Redis::start();
        let options = Options {
            server: Server::parse(&redis.url(), Duration::from_secs(1)).expect("a URL"),
            keyspace: Keyspace::new("", 1),
            timeout: Duration::from_secs(2),
            tombstone_ttl: Millis::new(3_600_000),
        };
        let store = RedisStore::new(Clock::system(), options, listener);
        store.now().await.expect("the server answers");
        Self(store, redis)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

crate::conformance::cases!(Alone);
