//! A Redis or a Cluster and a PostgreSQL of the test's own, instances on them, and the rows of the audit.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use synckairos::engine::{SessionId, Uuid};
use synckairos::redis::{Keyspace, Partition, QueueKey};

use test_support::certificates::Authority;
use test_support::cluster::Cluster;
use test_support::http::Connection;
use test_support::postgres::Postgres;
use test_support::program::Program;
use test_support::redis::{Redis, Setup};
use test_support::wait;

/// Who keeps the sessions.
enum Keeper {
    One(Redis),
    Many(Cluster),
}

/// Partitions of a Cluster.
const PARTITIONS: u16 = 8;

/// Servers that end with the test. The database's client blocks, so that it is asked on threads of its own.
pub(super) struct Rig {
    keeper: Keeper,
    postgres: Arc<Mutex<Postgres>>,
    url: String,
    /// What names in Redis begin with.
    prefix: &'static str,
    /// What instances are told beside the rest.
    more: Vec<(&'static str, String)>,
    /// Its files end with the rig.
    _authority: Option<Authority>,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"]).await
    }

    pub(super) async fn start_with(redis: &[&str]) -> Self {
        Self::with(Keeper::One(Redis::start_with(redis))).await
    }

    /// The same with a Cluster of three masters.
    pub(super) async fn start_divided() -> Self {
        Self::with(Keeper::Many(blocking(|| Cluster::start(3, 0)).await)).await
    }

    /// The same with a Redis that speaks TLS only, and a database that must prove who it is.
    pub(super) async fn start_encrypted() -> Self {
        let authority = Authority::new();
        let redis = Setup::forgetful().encrypted("localhost", &authority).start();
        let certified = move || (Postgres::start_encrypted(&["fsync=off"], &authority), authority);
        let (postgres, authority) = blocking(certified).await;
        let url = format!("{}?sslmode=verify-full&sslrootcert={}", postgres.url("postgres"), authority.file());
        let more = vec![("REDIS_CA_CERT", authority.file())];
        let postgres = Arc::new(Mutex::new(postgres));
        Self { keeper: Keeper::One(redis), postgres, url, prefix: "", more, _authority: Some(authority) }
    }

    /// The same with a Redis where instances are a user who may do no more than `rules` say.
    pub(super) async fn start_as(login: &str, prefix: &'static str, rules: &[String]) -> Self {
        let redis = Redis::start();
        redis::cmd("ACL").arg("SETUSER").arg(rules).exec(&mut redis.connect()).expect("the rules are right");
        let more = vec![("REDIS_URL", redis.url_as(login)), ("REDIS_PREFIX", prefix.to_owned())];
        let mut rig = Self::with(Keeper::One(redis)).await;
        (rig.prefix, rig.more) = (prefix, more);
        rig
    }

    async fn with(keeper: Keeper) -> Self {
        let postgres = blocking(Postgres::start).await;
        let url = postgres.url("postgres");
        let postgres = Arc::new(Mutex::new(postgres));
        Self { keeper, postgres, url, prefix: "", more: Vec::new(), _authority: None }
    }

    /// The one Redis.
    pub(super) fn redis(&mut self) -> &mut Redis {
        match &mut self.keeper {
            Keeper::One(redis) => redis,
            Keeper::Many(_) => panic!("there is more than one"),
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let (url, partitions) = match &self.keeper {
            Keeper::One(redis) => (redis.url(), 1),
            Keeper::Many(cluster) => (cluster.url(), PARTITIONS),
        };
        let mut settings = vec![
            ("REDIS_URL", url),
            ("DATABASE_URL", self.url.clone()),
            ("PARTITIONS", partitions.to_string()),
            ("RATE_LIMIT_SWITCH", "0".to_owned()),
        ];
        settings.extend(self.more.iter().cloned());
        settings
    }

    fn keyspace(&self) -> Keyspace {
        match &self.keeper {
            Keeper::One(_) => Keyspace::new(self.prefix, 1),
            Keeper::Many(_) => Keyspace::new(self.prefix, PARTITIONS),
        }
    }

    /// A connection to whoever keeps a partition.
    fn connect(&self, partition: Partition) -> redis::Connection {
        match &self.keeper {
            Keeper::One(redis) => redis.connect(),
            Keeper::Many(cluster) => cluster.nodes[cluster.owner(self.keyspace().slot(partition))].connect(),
        }
    }

    /// Lets Redis forget everything.
    pub(super) fn empty(&self) {
        let flush = |mut connection| redis::cmd("FLUSHALL").exec(&mut connection).expect("it answers");
        match &self.keeper {
            Keeper::One(redis) => flush(redis.connect()),
            Keeper::Many(cluster) => cluster.nodes.iter().for_each(|node| flush(node.connect())),
        }
    }

    /// Lets Redis forget a session.
    pub(super) fn forget(&self, session: &str) {
        let session = Uuid::parse(session).map(SessionId).expect("an id");
        let keyspace = self.keyspace();
        let forgotten =
            redis::cmd("DEL").arg(keyspace.session(session)).exec(&mut self.connect(keyspace.partition(session)));
        forgotten.expect("it answers");
    }

    /// Says that a session is due.
    pub(super) fn index(&self, session: &str, at_ms: u64) {
        let (name, keyspace) = (session, self.keyspace());
        let partition = keyspace.partition(Uuid::parse(session).map(SessionId).expect("an id"));
        let mut command = redis::cmd("ZADD");
        command.arg(keyspace.deadlines(partition)).arg(at_ms).arg(name);
        command.exec(&mut self.connect(partition)).expect("it answers");
    }

    /// How many sessions will be due.
    pub(super) fn indexed(&self) -> u64 {
        let keyspace = self.keyspace();
        let count = |partition| -> u64 {
            redis::cmd("ZCARD")
                .arg(keyspace.deadlines(partition))
                .query(&mut self.connect(partition))
                .expect("it answers")
        };
        keyspace.all().map(count).sum()
    }

    /// Writes something over a session that is no state.
    pub(super) fn spoil(&self, session: &str) {
        let session = Uuid::parse(session).map(SessionId).expect("an id");
        let keyspace = self.keyspace();
        let (key, mut connection) = (keyspace.session(session), self.connect(keyspace.partition(session)));
        redis::cmd("SET").arg(key).arg("garbage").exec(&mut connection).expect("it answers");
    }

    /// Whether Redis has a session.
    pub(super) fn has(&self, session: &str) -> bool {
        let session = Uuid::parse(session).map(SessionId).expect("an id");
        let keyspace = self.keyspace();
        let key = keyspace.session(session);
        redis::cmd("EXISTS").arg(key).query(&mut self.connect(keyspace.partition(session))).expect("it answers")
    }

    /// How much is in a part of the queue.
    pub(super) fn queued(&self, part: QueueKey) -> u64 {
        let keyspace = self.keyspace();
        let count = if part.kind() == "zset" { "ZCARD" } else { "LLEN" };
        let length = |partition| -> u64 {
            let length = redis::cmd(count).arg(keyspace.queue(partition, part)).query(&mut self.connect(partition));
            length.expect("it answers")
        };
        keyspace.all().map(length).sum()
    }

    /// Batches that are held, and until when (ms), of the first partition.
    pub(super) fn leases(&self) -> BTreeMap<String, u64> {
        let keyspace = self.keyspace();
        let first = keyspace.all().next().expect("there is one");
        let mut command = redis::cmd("ZRANGE");
        command.arg(keyspace.queue(first, QueueKey::Lease)).arg(0).arg(-1).arg("WITHSCORES");
        command.query(&mut self.connect(first)).expect("it answers")
    }

    /// Lets what is delayed, or held under a lease, be over now.
    pub(super) fn hasten(&self, part: QueueKey) {
        let keyspace = self.keyspace();
        for partition in keyspace.all() {
            let (mut connection, key) = (self.connect(partition), keyspace.queue(partition, part));
            let entries: Vec<Vec<u8>> =
                redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).query(&mut connection).expect("it answers");
            for entry in entries {
                redis::cmd("ZADD").arg(&key).arg("XX").arg(1).arg(entry).exec(&mut connection).expect("it answers");
            }
        }
    }

    /// How much is revoked in Redis.
    pub(super) fn revoked(&self) -> u64 {
        let keyspace = self.keyspace();
        let first = keyspace.all().next().expect("there is one");
        let key = match &self.keeper {
            Keeper::One(_) => keyspace.revoked(),
            Keeper::Many(_) => keyspace.shard(first).revoked(),
        };
        redis::cmd("ZCARD").arg(key).query(&mut self.connect(first)).expect("it answers")
    }

    /// An instance that listens.
    pub(super) fn begun(&self, settings: &[(&str, &str)]) -> Program {
        let own = self.settings();
        let own: Vec<_> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Program::start(&[&own[..], settings].concat())
    }

    /// An instance that is ready.
    pub(super) async fn instance(&self, settings: &[(&str, &str)]) -> Program {
        let program = self.begun(settings);
        let mut client = Connection::open(program.address).await;
        wait::until("the instance is ready", async || client.ask("GET", "/ready", "").await.status == 200).await;
        program
    }

    /// What the program does beside serving: its exit code, and what it printed.
    pub(super) async fn operate(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = test_support::program::command();
        command.args(arguments).envs(self.settings());
        let output = blocking(move || test_support::program::output(&mut command)).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("it is text"))
    }

    /// Does something to the database.
    pub(super) async fn postgres(&self, act: impl FnOnce(&mut Postgres) + Send + 'static) {
        let postgres = Arc::clone(&self.postgres);
        blocking(move || act(&mut postgres.lock())).await;
    }

    /// The rows of a query, each as JSON.
    pub(super) async fn rows(&self, sql: &str) -> Vec<Value> {
        let sql = format!("select to_jsonb(asked)::text from ({sql}) asked");
        let postgres = Arc::clone(&self.postgres);
        let rows: Vec<String> = blocking(move || {
            let rows = postgres.lock().connect("postgres").query(&sql, &[]).expect("the query is right");
            rows.iter().map(|row| row.get(0)).collect()
        })
        .await;
        rows.iter().map(|row| serde_json::from_str(row).expect("it is JSON")).collect()
    }

    /// One number.
    pub(super) async fn number(&self, sql: &str) -> u64 {
        let rows = self.rows(&format!("select ({sql}) as number")).await;
        rows[0]["number"].as_u64().unwrap_or_default()
    }

    /// Waits until nothing is queued but what is dead.
    pub(super) async fn drained(&self) {
        wait::until("the queue is empty", async || {
            [QueueKey::Wait, QueueKey::Lease, QueueKey::Delayed].into_iter().all(|part| self.queued(part) == 0)
        })
        .await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Its client may be dropped on threads only.
        let postgres = Arc::clone(&self.postgres);
        let _ = std::thread::spawn(move || postgres.lock().stop()).join();
    }
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.expect("it ends well")
}
