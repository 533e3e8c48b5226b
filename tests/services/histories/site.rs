//! What is under test: instances on a store of one kind or another, and a database. Does not know what happens to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::block_in_place;

use test_support::cluster::Cluster;
use test_support::data_dir;
use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::postgres::Postgres;
use test_support::program::Program;
use test_support::proxy::Proxy;
use test_support::redis::Redis;
use test_support::sentinel::Group;
use test_support::wait;

use super::client::Addresses;

const PARTITIONS: u16 = 8;
const ALWAYS: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
const EVERY_SECOND: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"];

/// How sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One Redis that syncs before it answers.
    Always,
    /// One that syncs every second, and may lose what came after.
    EverySecond,
    /// A Sentinel group; a change is acknowledged when both replicas have it.
    Replicated,
    /// A Sentinel group that waits for nobody.
    Sentinel,
    /// A Cluster of three masters with a replica each, for which changes wait.
    Cluster,
    /// One server with a data directory.
    File,
}

/// What a fault may take with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loses {
    Nothing,
    /// What nobody was answered, though somebody may have seen it.
    Unanswered,
    Anything,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] =
        [Kind::Always, Kind::EverySecond, Kind::Replicated, Kind::Sentinel, Kind::Cluster, Kind::File];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Always => "always",
            Kind::EverySecond => "everysec",
            Kind::Replicated => "replicated",
            Kind::Sentinel => "sentinel",
            Kind::Cluster => "cluster",
            Kind::File => "file",
        }
    }

    pub(super) fn says(self) -> &'static str {
        match self {
            Kind::Always => "one Redis, `appendfsync always`",
            Kind::EverySecond => "one Redis, `appendfsync everysec`",
            Kind::Replicated => "a Sentinel group, `REDIS_REPLICAS_MIN=2`",
            Kind::Sentinel => "a Sentinel group",
            Kind::Cluster => "a Cluster, `REDIS_REPLICAS_MIN=1`",
            Kind::File => "one server, `DATA_DIR`",
        }
    }

    pub(super) fn loses(self) -> Loses {
        match self {
            Kind::EverySecond | Kind::Sentinel => Loses::Anything,
            // A change is seen when it is made, and answered when it is on a replica, or on the disk.
            Kind::Replicated | Kind::Cluster | Kind::File => Loses::Unanswered,
            Kind::Always => Loses::Nothing,
        }
    }

    /// Whether a store of this kind may lose what it has acknowledged.
    pub(super) fn may_lose(self) -> bool {
        self.loses() == Loses::Anything
    }
}

pub(super) enum Store {
    /// With the network that each instance has to it.
    Redis(Redis, Vec<Proxy>),
    Group(Group),
    Cluster(Cluster),
    File(Directory),
}

/// Everything that runs, until the test ends.
pub(super) struct Site {
    pub(super) kind: Kind,
    pub(super) store: Store,
    pub(super) postgres: Option<Arc<Mutex<Postgres>>>,
    pub(super) instances: Vec<Program>,
    pub(super) addresses: Addresses,
    /// How many sessions instances reported as set back.
    behind: Arc<AtomicU64>,
    /// Names what a debug build does wrong.
    points: Directory,
    /// What instances called a fault of their own.
    faults: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Instances that are ready.
    pub(super) async fn start(kind: Kind, instances: usize, is_audited: bool) -> Self {
        let store = match kind {
            Kind::Always => redis(&ALWAYS, instances).await,
            Kind::EverySecond => redis(&EVERY_SECOND, instances).await,
            Kind::Replicated | Kind::Sentinel => Store::Group(block_in_place(|| Group::start(2))),
            Kind::Cluster => Store::Cluster(block_in_place(|| Cluster::start(3, 1))),
            Kind::File => Store::File(Directory::new()),
        };
        let wants_database = is_audited && kind != Kind::File;
        let postgres = wants_database.then(|| Arc::new(Mutex::new(block_in_place(Postgres::start))));
        let mut site = Self {
            kind,
            store,
            postgres,
            instances: Vec::new(),
            addresses: Addresses::default(),
            behind: Arc::default(),
            points: Directory::new(),
            faults: Arc::default(),
        };
        let count = if kind == Kind::File { 1 } else { instances };
        for place in 0..count {
            let program = site.instance(place);
            site.addresses.lock().push(program.address);
            site.instances.push(program);
            site.ready(place).await;
        }
        site
    }

    fn settings(&self, place: usize) -> Vec<(&'static str, String)> {
        let mut settings = match &self.store {
            Store::Redis(_, proxies) => vec![("REDIS_URL", proxies[place].url())],
            Store::Group(group) => vec![("REDIS_URL", group.url())],
            Store::Cluster(cluster) => vec![("REDIS_URL", cluster.url()), ("PARTITIONS", PARTITIONS.to_string())],
            Store::File(directory) => {
                let points = ("SYNCKAIROS_TEST_PANICS", self.points.text().to_owned());
                vec![("DATA_DIR", directory.text().to_owned()), points]
            }
        };
        let replicas = match self.kind {
            Kind::Replicated => "2",
            Kind::Cluster => "1",
            Kind::Always | Kind::EverySecond | Kind::Sentinel | Kind::File => "0",
        };
        if self.kind != Kind::File {
            settings.push(("REDIS_REPLICAS_MIN", replicas.to_owned()));
        }
        match &self.postgres {
            Some(postgres) => {
                settings.push(("DATABASE_URL", postgres.lock().url("postgres")));
                settings.push(("DATABASE_POOL_MAX", "3".to_owned()));
            }
            None if self.kind != Kind::File => settings.push(("AUDIT", "off".to_owned())),
            None => {}
        }
        settings.push(("RATE_LIMIT_SWITCH", "0".to_owned()));
        settings
    }

    /// An instance that listens.
    fn instance(&self, place: usize) -> Program {
        let settings = self.settings(place);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut program = block_in_place(|| Program::start(&settings));
        let (behind, faults) = (Arc::clone(&self.behind), Arc::clone(&self.faults));
        program.leave_log(move |line| {
            if line.contains("forgot acknowledged changes") {
                let said: Value = serde_json::from_str(line).expect("a log line is JSON");
                behind.fetch_add(said["behind"].as_u64().expect("a number"), Ordering::Relaxed);
            }
            if ["fault of ours", "in part", "panicked"].iter().any(|words| line.contains(words)) {
                faults.lock().push(line.to_owned());
            }
            false
        });
        program
    }

    /// Kills an instance and starts another one in its place.
    pub(super) async fn replace(&mut self, place: usize) {
        self.instances[place].child.kill().expect("it runs");
        self.instances[place].ended().await;
        let program = self.instance(place);
        self.addresses.lock()[place] = program.address;
        self.instances[place] = program;
        self.ready(place).await;
    }

    /// Waits until an instance is ready.
    pub(super) async fn ready(&self, place: usize) {
        let address = self.instances[place].address;
        wait::within(std::time::Duration::from_secs(60), "the instance is ready", async || {
            let Some(mut client) = Connection::try_open(address).await else { return false };
            client.try_ask("GET", "/ready").await.is_some_and(|answer| answer.status == 200)
        })
        .await;
    }

    /// What the disk does from now on, in a debug build.
    pub(super) fn stall(&self, points: &str) {
        // In one piece: it is read at any time.
        let begun = format!("{}.new", self.points.text());
        std::fs::write(&begun, points).expect("there is room");
        std::fs::rename(begun, self.points.path()).expect("there is room");
    }

    pub(super) fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    pub(super) fn faults(&self) -> Vec<String> {
        self.faults.lock().clone()
    }

    /// Waits until all that was changed is in the audit.
    pub(super) async fn drained(&self) {
        if self.postgres.is_none() {
            return;
        }
        let settings = self.settings(0);
        let mut said = String::new();
        wait::within(std::time::Duration::from_secs(180), "the queue is empty", async || {
            let mut command = test_support::program::command();
            command.args(["queue", "stats"]).envs(settings.iter().map(|(name, value)| (*name, value.as_str())));
            let output = block_in_place(|| test_support::program::output(&mut command));
            said = String::from_utf8_lossy(&output.stdout).into_owned();
            ["waiting 0\n", "held 0\n", "delayed 0\n", "bytes 0\n"].iter().all(|part| said.contains(part))
        })
        .await;
        assert!(said.contains("dead 0\n"), "{said}");
    }

    /// Each change of a session that the audit has, with how many rows it has.
    pub(super) async fn audited(&mut self, session: &str) -> Vec<((u64, u64), u64)> {
        if let Store::File(directory) = &self.store {
            self.instances.clear();
            let changes = data_dir::history(directory, session).await;
            return changes.iter().map(|change| ((change.tag.epoch, change.tag.version), 1)).collect();
        }
        let Some(postgres) = &self.postgres else { return Vec::new() };
        let sql = format!(
            "select epoch, version, count(*) from sync_events where session_id = '{session}' group by 1, 2 order by 1, 2"
        );
        let rows = block_in_place(|| postgres.lock().connect("postgres").query(&sql, &[]).expect("the query is right"));
        let number = |row: &postgres::Row, place: usize| row.get::<_, i64>(place) as u64;
        rows.iter().map(|row| ((number(row, 0), number(row, 1)), number(row, 2))).collect()
    }
}

async fn redis(options: &[&str], instances: usize) -> Store {
    let redis = block_in_place(|| Redis::start_with(options));
    let mut proxies = Vec::new();
    for _ in 0..instances {
        proxies.push(Proxy::start(redis.port()).await);
    }
    Store::Redis(redis, proxies)
}

/// A database's client blocks, and so does whoever ends it.
impl Drop for Site {
    fn drop(&mut self) {
        if let Some(postgres) = self.postgres.take() {
            let _ = std::thread::spawn(move || drop(postgres)).join();
        }
    }
}
