//! The distributed store on real servers: the contract, unchanged.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use synckairos::clock::Clock;
use synckairos::engine::Millis;
use synckairos::redis::{Certificates, Keyspace, Server};
use synckairos::store::redis::{Budget, Options, RecordFormat, RedisStore};
use synckairos::store::{Lifetimes, Listener, Metrics, Store};

use super::Backend;
use crate::support::certificates::Authority;
use crate::support::cluster::Cluster;
use crate::support::redis::{Redis, Setup};

/// A store on a server of its own.
struct Alone<const PARTITIONS: u16, const AUDITED: bool>(
    RedisStore,
    #[expect(dead_code, reason = "it ends with the store")] Redis,
);

impl<const PARTITIONS: u16, const AUDITED: bool> Backend for Alone<PARTITIONS, AUDITED> {
    async fn open(listener: Arc<dyn Listener>) -> Self {
        let redis = Redis::start();
        let options = options(&redis.url(), Keyspace::new("", PARTITIONS), AUDITED);
        let store = RedisStore::new(&Clock::system(), &options, &listener);
        store.now(None).await.expect("the server answers");
        Self(store, redis)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

/// A store on a server of its own that speaks TLS only.
struct Encrypted(RedisStore, #[expect(dead_code, reason = "it ends with the store")] Redis);

impl Backend for Encrypted {
    async fn open(listener: Arc<dyn Listener>) -> Self {
        let authority = Authority::new();
        let redis = Setup::forgetful().encrypted("localhost", &authority).start();
        let certificates = Certificates { authority: Some(authority.file().into()), client: None };
        let server = Server::parse(&redis.url(), &certificates, Duration::from_secs(1)).expect("a URL");
        let options = Options { server, ..options(&redis.url(), Keyspace::new("", 1), true) };
        let store = RedisStore::new(&Clock::system(), &options, &listener);
        store.now(None).await.expect("the server answers");
        Self(store, redis)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

/// A store on a Cluster, which all cases that run at the same time share: each has a prefix of its own.
struct Divided<const AUDITED: bool>(
    RedisStore,
    #[expect(dead_code, reason = "it ends with the last store")] Arc<Cluster>,
);

impl<const AUDITED: bool> Backend for Divided<AUDITED> {
    async fn open(listener: Arc<dyn Listener>) -> Self {
        static CASES: AtomicU32 = AtomicU32::new(0);
        let cluster = tokio::task::spawn_blocking(shared_cluster).await.expect("it starts");
        let prefix = format!("{}:", CASES.fetch_add(1, Ordering::Relaxed));
        let options = options(&cluster.url(), Keyspace::new(&prefix, 8), AUDITED);
        let store = RedisStore::new(&Clock::system(), &options, &listener);
        store.now(None).await.expect("the servers answer");
        Self(store, cluster)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

fn shared_cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock();
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::start(3, 0));
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

fn options(url: &str, keyspace: Keyspace, is_audited: bool) -> Options {
    Options {
        server: Server::parse(url, &Certificates::default(), Duration::from_secs(1)).expect("a URL"),
        keyspace,
        timeout: Duration::from_secs(2),
        tombstone_ttl: Millis::new(3_600_000),
        lifetimes: Lifetimes::default(),
        record_format: RecordFormat::default(),
        audit: is_audited.then_some(Budget { bytes_max: 1 << 30 }),
        replicas_min: 0,
        metrics: Metrics::default(),
    }
}

mod whole {
    type Whole = super::Alone<1, false>;
    crate::conformance::cases!(Whole);
}

mod partitioned_and_audited {
    type Partitioned = super::Alone<8, true>;
    crate::conformance::cases!(Partitioned);
}

mod encrypted {
    type Encrypted = super::Encrypted;
    crate::conformance::cases!(Encrypted);
}

mod cluster {
    type Cluster = super::Divided<true>;
    crate::conformance::cases!(Cluster);
}
