//! The distributed store on a real server: the contract, unchanged.

use std::sync::Arc;
use std::time::Duration;

use synckairos::clock::Clock;
use synckairos::engine::Millis;
use synckairos::redis::{Certificates, Keyspace, Server};
use synckairos::store::redis::{Budget, Options, RedisStore};
use synckairos::store::{Listener, Metrics, Store};

use super::Backend;
use crate::support::redis::Redis;

/// A store on a server of its own.
struct Alone<const PARTITIONS: u16, const AUDITED: bool>(
    RedisStore,
    #[expect(dead_code, reason = "it ends with the store")] Redis,
);

impl<const PARTITIONS: u16, const AUDITED: bool> Backend for Alone<PARTITIONS, AUDITED> {
    async fn open(listener: Arc<dyn Listener>) -> Self {
        let redis = Redis::start();
        let options = Options {
            server: Server::parse(&redis.url(), &Certificates::default(), Duration::from_secs(1)).expect("a URL"),
            keyspace: Keyspace::new("", PARTITIONS),
            timeout: Duration::from_secs(2),
            tombstone_ttl: Millis::new(3_600_000),
            audit: AUDITED.then_some(Budget { bytes_max: 1 << 30 }),
            metrics: Metrics::default(),
        };
        let store = RedisStore::new(&Clock::system(), &options, &listener);
        store.now().await.expect("the server answers");
        Self(store, redis)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

mod whole {
    type Whole = super::Alone<1, false>;
    crate::conformance::cases!(Whole);
}

mod divided_and_audited {
    type Divided = super::Alone<8, true>;
    crate::conformance::cases!(Divided);
}
