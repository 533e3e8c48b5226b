//! The distributed backend on real servers: the contract, unchanged.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use synckairos::clock::Clock;
use synckairos::engine::{Command, Millis, SessionId, Uuid};
use synckairos::redis::{Certificates, Keyspace, RedisServer};
use synckairos::sessions::{Failure, Sessions};
use synckairos::store::redis::{CommitPolicy, QueueBudget, RecordFormat, RecordPolicy, RedisStore, StoreLocation};
use synckairos::store::{self, Lifetimes, Listener, Metrics, PartitionClocks, StoreError};
use tokio::task::JoinSet;

use test_support::certificates::Authority;
use test_support::cluster::Cluster;
use test_support::conformance::Backend;
use test_support::redis::{Redis, Setup};
use test_support::wait;

/// A store on a server of its own.
struct Alone<const PARTITIONS: u16, const AUDITED: bool>(
    RedisStore,
    #[expect(dead_code, reason = "it ends with the store")] Redis,
);

impl<const PARTITIONS: u16, const AUDITED: bool> Backend for Alone<PARTITIONS, AUDITED> {
    async fn open(listener: Arc<dyn Listener>, lifetimes: Lifetimes) -> Self {
        let redis = Redis::start();
        let location = location(&redis.url(), Keyspace::new("", PARTITIONS));
        let store = store_at(location, lifetimes, AUDITED, &listener);
        store.now(None).await.expect("the server answers");
        Self(store, redis)
    }

    fn store(&self) -> Arc<dyn store::Backend> {
        Arc::new(self.0.clone())
    }
}

/// A store on a server of its own that speaks TLS only.
struct Encrypted(RedisStore, #[expect(dead_code, reason = "it ends with the store")] Redis);

impl Backend for Encrypted {
    async fn open(listener: Arc<dyn Listener>, lifetimes: Lifetimes) -> Self {
        let authority = Authority::new();
        let redis = Setup::forgetful().encrypted("localhost", &authority).start();
        let certificates = Certificates { authority: Some(authority.file().into()), client: None };
        let server = RedisServer::parse(&redis.url(), &certificates, Duration::from_secs(1)).expect("a URL");
        let location = StoreLocation { server, ..location(&redis.url(), Keyspace::new("", 1)) };
        let store = store_at(location, lifetimes, true, &listener);
        store.now(None).await.expect("the server answers");
        Self(store, redis)
    }

    fn store(&self) -> Arc<dyn store::Backend> {
        Arc::new(self.0.clone())
    }
}

/// A store on a Cluster, which all cases that run at the same time share: each has a prefix of its own.
struct Divided<const AUDITED: bool>(
    RedisStore,
    #[expect(dead_code, reason = "it ends with the last store")] Arc<Cluster>,
);

impl<const AUDITED: bool> Backend for Divided<AUDITED> {
    async fn open(listener: Arc<dyn Listener>, lifetimes: Lifetimes) -> Self {
        static CASES: AtomicU32 = AtomicU32::new(0);
        let cluster = tokio::task::spawn_blocking(shared_cluster).await.expect("it starts");
        let prefix = format!("{}:", CASES.fetch_add(1, Ordering::Relaxed));
        let location = location(&cluster.url(), Keyspace::new(&prefix, 8));
        let store = store_at(location, lifetimes, AUDITED, &listener);
        store.now(None).await.expect("the servers answer");
        Self(store, cluster)
    }

    fn store(&self) -> Arc<dyn store::Backend> {
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

fn location(url: &str, keyspace: Keyspace) -> StoreLocation {
    let server = RedisServer::parse(url, &Certificates::default(), Duration::from_secs(1)).expect("a URL");
    StoreLocation { server, keyspace, timeout: Duration::from_secs(2) }
}

fn store_at(
    location: StoreLocation,
    lifetimes: Lifetimes,
    is_audited: bool,
    listener: &Arc<dyn Listener>,
) -> RedisStore {
    let (format, tombstone_ttl) = (RecordFormat::default(), Millis::new(3_600_000));
    let records = RecordPolicy { format, lifetimes, tombstone_ttl };
    let audit = is_audited.then_some(QueueBudget { bytes_max: 1 << 30 });
    let commits = CommitPolicy { audit, replicas_min: 0 };
    RedisStore::new(&Clock::system(), location, records, commits, listener, &Metrics::default())
}

mod whole {
    type Whole = super::Alone<1, false>;
    test_support::cases!(Whole);
}

mod partitioned_and_audited {
    type Partitioned = super::Alone<8, true>;
    test_support::cases!(Partitioned);
}

mod encrypted {
    type Encrypted = super::Encrypted;
    test_support::cases!(Encrypted);
}

mod cluster {
    type Cluster = super::Divided<true>;
    test_support::cases!(Cluster);
}

/// Reads and changes beyond those that may wait are refused at once, and none of the others.
#[tokio::test]
async fn as_many_commands_and_reads_wait_as_there_is_room_for() {
    const ROOM: usize = 2 * 4_096;
    const MORE: usize = 2_000;
    const TOO_MANY: [&str; 2] = ["too many reads are waiting", "too many changes are waiting"];
    let redis = Redis::start();
    let listener: Arc<dyn Listener> = Arc::new(test_support::conformance::recorder::Recorder::default());
    let location = location(&redis.url(), Keyspace::new("", 1));
    let store = store_at(location, Lifetimes::default(), false, &listener);
    store.now(None).await.expect("the server answers");
    let sessions = Sessions::new(Arc::new(store));
    redis.signal("STOP");
    for (is_read, refusal) in [(true, TOO_MANY[0]), (false, TOO_MANY[1])] {
        let mut asked = JoinSet::new();
        for n in 0..ROOM + MORE {
            let (sessions, id) = (sessions.clone(), SessionId(Uuid::from_bits(n as u128)));
            asked.spawn(async move {
                match is_read {
                    true => sessions.read(id).await.err(),
                    false => sessions.change(id, sessions.arrive(id), Command::Start.into()).await.result.err(),
                }
            });
        }
        let told = asked.join_all().await;
        let is_refused = |told: &&Option<Failure>| match told {
            Some(Failure::Store(StoreError::Unavailable(why))) => *why == refusal,
            _ => false,
        };
        let refused = told.iter().filter(is_refused).count();
        assert!((1..=MORE).contains(&refused), "{refused} were refused with {refusal:?}");
    }
    redis.signal("CONT");
    let id = SessionId(Uuid::from_bits(1));
    wait::until("it serves", async || matches!(sessions.read(id).await, Err(Failure::Refused(..)))).await;
}
