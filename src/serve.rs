//! The only wiring: puts the parts together, starts them in order and stops them in order. Nothing imports
//! this but the program and the tests.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{error, info, warn};

use crate::audit::{AuditMetrics, AuditQueue, AwayCollector, Consumer, Sinks};
use crate::clock::Clock;
use crate::config::{self, Address, Config};
use crate::deadlines;
use crate::engine::{Millis, Timestamp};
use crate::http;
use crate::instances::{Fingerprint, Instances, Lease};
use crate::logging;
use crate::memory_limit;
use crate::postgres::{self, PostgresArchive, PostgresServer, PostgresSink, SchemaStatus};
use crate::process::{self, ProcessCollector};
use crate::random;
use crate::readiness::{Finding, Readiness};
use crate::redis::{Keyspace, RedisServer, WakeUp};
use crate::sessions::{ClientRateLimit, Recovery, RecoveryOptions, Sessions};
use crate::shutdown::{self, Trigger};
use crate::store::file::DataDir;
use crate::store::memory::{self, Memory};
use crate::store::redis::{CommitPolicy, QueueBudget, RecordFormat, RecordPolicy, RedisStore, StoreLocation};
use crate::store::{Archive, Backend, Lifetimes, Listener, Metrics, RateLimit};
use crate::supervision::{Panicked, Supervisor, Task, TaskExit, TaskFailure};
use crate::timekeeping::Timekeeper;
use crate::wire;
use crate::ws::{self, Hub, WsContext};

/// How long requests may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Descriptors that the server has for itself: its log, its files, its listener, what wakes it.
const DESCRIPTORS: u64 = 24;
/// Connections that a partition may have with Redis: who commits, reads, hears, sweeps, and takes what is audited.
const DESCRIPTORS_OF_PARTITION: u64 = 8;
/// Connections that read the audit back.
const DESCRIPTORS_OF_ARCHIVE: u64 = 6;
/// Connections beside MAX_CONNECTIONS on which the server can be asked how it is.
const RESERVE: u32 = 64;
/// How often a database is asked which one it is, as long as it does not answer.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(5);
/// How long a reply of Redis may take: a command that waits longer is not worth waiting for.
const REDIS_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// How often history in the file is looked through.
const RETENTION_PAUSE: Duration = Duration::from_secs(60 * 60);

/// A server that runs until it is stopped or dropped.
pub struct Running {
    address: Address,
    drain: Duration,
    trigger: Trigger,
    server: JoinHandle<Result<(), Panicked>>,
    agents: JoinSet<()>,
    audit: Option<JoinHandle<Result<(), Panicked>>>,
    supervisor: Supervisor,
    end_audit: oneshot::Sender<()>,
    data: Option<DataDir>,
}

/// Why a server cannot start.
#[derive(Debug)]
pub enum Failure {
    /// Nothing can listen there.
    Listen(io::Error),
    /// Sessions cannot be kept there.
    Store(io::Error),
}

/// Starts a server; it accepts connections when this returns.
pub async fn start(config: Config) -> Result<Running, Failure> {
    let listener = match &config.address {
        Address::Tcp(address) => http::Listener::tcp(*address).await,
        Address::Unix(path) => http::Listener::unix(path).await,
    };
    let listener = listener.map_err(Failure::Listen)?;
    let address = listener.address().map_err(Failure::Listen)?.map_or_else(|| config.address.clone(), Address::Tcp);
    let (trigger, shutdown) = shutdown::channel();

    let clock = Clock::system();
    let descriptors = process::raise_descriptors();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(ProcessCollector::new(clock.now())));
    let supervisor = Supervisor::register(&mut registry);
    logging::register(&mut registry);
    let hub = Arc::new(Hub::new(&mut registry, config.outbox_bytes_max, &supervisor));
    let metrics = Metrics::register(&mut registry, supervisor.clone());
    let data = config.data_dir.as_ref().map(|path| {
        let (clock, metrics) = (clock.clone(), metrics.clone());
        DataDir::open(path, clock, config.request_timeout, metrics)
    });
    let data = data.transpose().map_err(Failure::Store)?;
    let redis = config.redis.as_ref().map(|redis| RedisServer::open(&redis.access, REDIS_REPLY_TIMEOUT));
    let redis = redis.transpose().map_err(|why| Failure::Store(io::Error::other(why)))?;
    let mut readiness = Readiness::default();
    readiness.add("server", {
        let shutdown = shutdown.clone();
        move || shutdown.is_announced().then(|| Finding::NotReady("it is about to stop".to_owned()))
    });
    let Kept { store, wake_ups, record_format } =
        Kept::new(&config, &clock, &hub, metrics.clone(), data.as_ref(), redis.as_ref(), &mut readiness)
            .map_err(Failure::Store)?;
    let mut agents = JoinSet::new();
    if let (Some(server), Some(redis)) = (&redis, &config.redis) {
        let instances = instances(&config, redis, server, &address, record_format);
        let differing = instances.clone();
        readiness.add("instances", move || differing.differs().map(Finding::NotReady));
        if let Some(audit) = &config.audit {
            let (database, learning) = (PostgresServer::open(&audit.access), instances.clone());
            let database = database.map_err(|why| Failure::Store(io::Error::other(why)))?;
            let (identified, learn) = (Task::auxiliary("identity of the database"), supervisor.clone());
            let identify = move || identify(database.clone(), learning.clone(), learn.clone());
            agents.spawn(supervisor.keep(identified, identify));
        }
        agents.spawn(supervisor.keep(Task::auxiliary("lease"), move || instances.clone().keep()));
    }
    let watched = Watched { registry: &mut registry, readiness: &mut readiness, supervisor: &supervisor };
    let audit = Audit::new(&config, &clock, watched, &mut agents, redis, wake_ups).map_err(Failure::Store)?;
    let Audit { archive, consumer } = audit;
    readiness.add("tasks", {
        let supervisor = supervisor.clone();
        move || supervisor.troubles().into_iter().map(finding)
    });
    let timekeeper = Timekeeper::new(clock.clone(), &mut registry);
    readiness.add("clock", {
        let timekeeper = Arc::clone(&timekeeper);
        move || timekeeper.caution().map(Finding::Degraded)
    });
    agents.spawn(supervisor.keep(Task::auxiliary("clock"), move || Arc::clone(&timekeeper).run()));
    if let Some(data) = data.clone() {
        let serve = move || back_up(data.clone());
        agents.spawn(supervisor.keep(Task::auxiliary("backup"), serve));
    }
    if let (Some(data), Some(age_max)) = (data.clone(), config.history_age_max) {
        let clock = clock.clone();
        let forget = move || forget_old(data.clone(), clock.clone(), age_max);
        agents.spawn(supervisor.keep(Task::auxiliary("retention"), forget));
    }
    let archive = archive.or_else(|| data.as_ref().map(DataDir::archive));
    let sessions = Sessions::new(Arc::clone(&store) as _).with_switch_limit(rate_limit(config.rate_limit_switch, 1));
    let mut sessions = sessions.with_default_on_timeout(config.default_on_timeout);
    if let Some(archive) = archive {
        let age_max = Millis::new(config.recovery_age_max.as_millis() as u64);
        let patience = config.request_timeout / 2;
        let options = RecoveryOptions { age_max, lifetimes: lifetimes(&config), patience };
        let recovery = Recovery::new(Arc::clone(&store) as _, archive, options, metrics.clone(), &mut registry);
        sessions = sessions.with_recovery(recovery);
    }
    let live = WsContext {
        sessions: sessions.clone(),
        clocks: Arc::clone(&store) as _,
        client_limit: ClientRateLimit::new(Arc::clone(&store) as _, rate_limit(config.rate_limit_general, 60)),
        hub: Arc::clone(&hub),
        heartbeat: config.heartbeat,
        request_timeout: config.request_timeout,
        answer_bytes_per_s: config.rate_limit_answer_bytes,
        write_timeout: config.write_timeout,
    };

    let stuck = deadlines::DeadlineMetrics::register(&mut registry);
    agents.spawn(deadlines::fire(sessions, Arc::clone(&store) as _, stuck, supervisor.clone()));
    let clocks = Arc::clone(&live.clocks);
    let warn = move || ws::warn(Arc::clone(&hub), Arc::clone(&clocks));
    agents.spawn(supervisor.keep(Task::auxiliary("warnings"), warn));
    let deadlines = Arc::clone(&store) as _;
    agents.spawn(supervisor.keep(Task::essential("upkeep"), move || upkeep(Arc::clone(&store))));

    let limits = http::Timeouts {
        idle_timeout: config.idle_timeout,
        head_timeout: config.head_timeout,
        body_timeout: config.body_timeout,
        request_timeout: config.request_timeout,
    };
    let of_address_max = Some(config.connections_of_address_max).filter(|max| *max > 0);
    let room = http::ConnectionLimits { connections_max: config.connections_max, of_address_max, reserve: RESERVE };
    let room = fitting(room, descriptors, &config);
    let cors = http::Cors::new(&config.cors_origin);
    let options = http::ServerOptions {
        cors,
        room,
        limits,
        proxies: config.trusted_proxies.clone(),
        base_path: config.base_path.clone().into(),
        bodies_bytes_max: config.bodies_bytes_max,
        bounds: metrics.clone(),
    };
    let environment = http::Environment { clock, shutdown, supervisor: supervisor.clone() };
    let server = http::Server::new(live, deadlines, options, registry, readiness, environment);
    let server = supervisor.spawn("server", server.run(listener));
    // The audit ends after the server: what was acknowledged last is written too, if that is quickly done.
    let (end_audit, audit_ends) = oneshot::channel::<()>();
    let audit = consumer.map(|(consumer, tables)| {
        supervisor.spawn("audit", async move {
            // Whether it is told or forgotten.
            let mut ends = std::pin::pin!(async { drop(audit_ends.await) });
            tokio::select! {
                () = tables.known() => consumer.run(ends).await,
                () = &mut ends => {}
            }
        })
    });
    let version = env!("CARGO_PKG_VERSION");
    match (&config.redis, &data) {
        (Some(_), _) => info!(%address, store = "Redis", version, "SyncKairos listens"),
        (None, Some(data)) => {
            info!(%address, store = "file", path = %data.path().display(), version, "SyncKairos listens");
        }
        (None, None) => info!(
            %address,
            store = "memory",
            version,
            "SyncKairos listens; sessions are lost when it ends: --data-dir or --redis-url keeps them"
        ),
    }
    let drain = config.drain;
    Ok(Running { address, drain, trigger, server, agents, audit, supervisor, end_audit, data })
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits until something has ended that must not end before the server, and cannot be begun anew.
    pub async fn failed(&mut self) {
        let audit = async {
            match &mut self.audit {
                Some(audit) => drop(audit.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.supervisor.fatal_failure() => {}
            _ = &mut self.server => error!("nothing accepts connections any more"),
            () = audit => error!("the audit has ended"),
        }
    }

    /// Sees to the tasks of this server, and of whoever runs it.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Says that it will stop, and serves on for as long as it was told; then stops accepting, lets requests finish, closes
    /// WebSockets; what has not ended in time is dropped. Returns whether
    /// everything that was to be written is.
    pub async fn stop(mut self) -> bool {
        self.trigger.drain(self.drain);
        if !self.drain.is_zero() {
            info!(length_s = self.drain.as_secs(), "serving on until clients have gone elsewhere");
            tokio::time::sleep(self.drain).await;
        }
        self.trigger.begin();
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await.is_err() {
            warn!("some connections did not end in time");
            self.server.abort();
        }
        self.agents.shutdown().await;
        if let Some(audit) = self.audit {
            // It has a deadline of its own.
            let _ = self.end_audit.send(());
            if !matches!(audit.await, Ok(Ok(()))) {
                warn!("the audit met a fault of ours");
            }
        }
        match &self.data {
            Some(data) => data.close().await,
            None => true,
        }
    }
}

/// The instances that share a Redis, this one among them.
fn instances(
    config: &Config,
    redis: &config::RedisSettings,
    server: &RedisServer,
    address: &Address,
    format: RecordFormat,
) -> Instances {
    let audit = if config.audit.is_some() { "on" } else { "off" };
    let fingerprint = Fingerprint::from([("PARTITIONS", redis.partitions.to_string()), ("AUDIT", audit.to_owned())]);
    let (name, version) = (address.to_string(), env!("CARGO_PKG_VERSION").to_owned());
    let lease = Lease { name, version, formats_max: *wire::FORMATS.end(), fingerprint };
    let run = random::name();
    let keyspace = Keyspace::new(&redis.prefix, redis.partitions);
    Instances::new(server, &keyspace, run, lease, redis.record_format, format)
}

/// Finds out which database the audit is written into, once it can be asked.
async fn identify(database: PostgresServer, instances: Instances, supervisor: Supervisor) -> TaskExit {
    loop {
        let asked = database.clone();
        if let Ok(Ok(identity)) = supervisor.block("identity of the database", move || postgres::identity(&asked)).await
        {
            instances.learn("the database of DATABASE_URL", identity);
            return TaskExit::Done;
        }
        tokio::time::sleep(IDENTIFY_INTERVAL).await;
    }
}

/// Where sessions are kept.
struct Kept {
    store: Arc<dyn Backend>,
    /// In which form they are written, where that may change.
    record_format: RecordFormat,
    /// Rung when there is something to be written down.
    wake_ups: Vec<WakeUp>,
}

impl Kept {
    fn new(
        config: &Config,
        clock: &Clock,
        hub: &Arc<Hub>,
        metrics: Metrics,
        data: Option<&DataDir>,
        server: Option<&RedisServer>,
        readiness: &mut Readiness,
    ) -> io::Result<Self> {
        let tombstone_ttl = Millis::new(config.tombstone_ttl.as_millis() as u64);
        let lifetimes = lifetimes(config);
        let listener: Arc<dyn Listener> = Arc::clone(hub) as _;
        let record_format = RecordFormat::default();
        let (Some(redis), Some(server)) = (&config.redis, server) else {
            let bytes_max = config.sessions_bytes_max.unwrap_or_else(|| memory_limit::bytes() / 4);
            let limit = memory::Limit { sessions_max: config.sessions_max, bytes_max, tombstone_ttl, lifetimes };
            let store: Arc<dyn Backend> = match data {
                Some(data) => Arc::new(Memory::open(clock.clone(), limit, listener, metrics, data)?),
                None => Arc::new(Memory::new(clock.clone(), limit, listener, metrics)),
            };
            let asked = Arc::clone(&store);
            readiness.add("store", move || asked.unready_reason().map(Finding::NotReady));
            return Ok(Self { store, record_format, wake_ups: Vec::new() });
        };
        let (server, keyspace) = (server.clone(), Keyspace::new(&redis.prefix, redis.partitions));
        let bytes_max = config.audit.as_ref().map(|audit| audit.queue_bytes_max / u64::from(redis.partitions));
        let audit = bytes_max.map(|bytes_max| QueueBudget { bytes_max });
        let location = StoreLocation { server, keyspace, timeout: config.request_timeout };
        let records = RecordPolicy { format: record_format.clone(), lifetimes, tombstone_ttl };
        let commits = CommitPolicy { audit, replicas_min: redis.replicas_min };
        let store = RedisStore::new(clock, location, records, commits, &listener, &metrics);
        let wake_ups = store.wake_ups();
        let asked = store.clone();
        let missing =
            move || asked.unready_reason().map(Finding::NotReady).or_else(|| asked.impaired().map(Finding::Degraded));
        readiness.add("store", missing);
        Ok(Self { store: Arc::new(store), record_format, wake_ups })
    }
}

/// Where changes are written down and read back, if they are.
struct Audit {
    archive: Option<Arc<dyn Archive>>,
    /// It writes once the tables were made, or somebody knows why they cannot be.
    consumer: Option<(Consumer, SchemaStatus)>,
}

/// Where a part of the server says how it is.
struct Watched<'s> {
    registry: &'s mut Registry,
    readiness: &'s mut Readiness,
    supervisor: &'s Supervisor,
}

impl Audit {
    fn new(
        config: &Config,
        clock: &Clock,
        watched: Watched<'_>,
        agents: &mut JoinSet<()>,
        server: Option<RedisServer>,
        wake_ups: Vec<WakeUp>,
    ) -> io::Result<Self> {
        let metrics = AuditMetrics::register(watched.registry, watched.supervisor.clone());
        let (Some(redis), Some(server), Some(audit)) = (&config.redis, server, &config.audit) else {
            watched.registry.register_collector(Box::new(AwayCollector::new(|| false)));
            return Ok(Self { archive: None, consumer: None });
        };
        let database = PostgresServer::open(&audit.access).map_err(io::Error::other)?;
        let tables = SchemaStatus::default();
        let (supervisor, migrated, found) = (watched.supervisor.clone(), database.clone(), tables.clone());
        let migrate = move || postgres::keep_migrated(migrated.clone(), supervisor.clone(), found.clone());
        agents.spawn(watched.supervisor.keep(Task::auxiliary("migration"), migrate));
        if let Some(age_max) = config.history_age_max {
            let (supervisor, kept, told) = (watched.supervisor.clone(), database.clone(), tables.clone());
            let forget = move || postgres::keep_retained(kept.clone(), age_max, told.clone(), supervisor.clone());
            agents.spawn(watched.supervisor.keep(Task::auxiliary("retention"), forget));
        }
        let queues = AuditQueue::all(&server, &Keyspace::new(&redis.prefix, redis.partitions));
        let queues = queues.into_iter().zip(wake_ups).map(|(queue, wake_up)| queue.with_wake_up(wake_up)).collect();
        let sinks = Sinks::new(audit.threads, || Box::new(PostgresSink::new(database.clone())));
        let consumer = Consumer::new(clock, queues, sinks, audit.queue_bytes_max / 5, &metrics)?;
        let health = consumer.health();
        let archive: Arc<dyn Archive> = Arc::new(PostgresArchive::start(database, watched.supervisor)?);
        let (known, writers) = (tables.clone(), health.clone());
        let away = Arc::new(move || known.degraded().or_else(|| writers.unavailable()));
        let is_away = Arc::clone(&away);
        watched.registry.register_collector(Box::new(AwayCollector::new(move || is_away().is_some())));
        watched.readiness.add("audit", move || away().into_iter().chain(health.degraded()).map(Finding::Degraded));
        Ok(Self { archive: Some(archive), consumer: Some((consumer, tables)) })
    }
}

/// Lets `synckairos backup` copy a data directory; does without where there can be no socket.
async fn back_up(data: DataDir) {
    if let Err(error) = data.serve_backups().await {
        warn!(%error, "synckairos backup cannot be served");
    }
    std::future::pending().await
}

/// Removes history from the file that is older than it has to be kept, now and then.
async fn forget_old(data: DataDir, clock: Clock, age_max: Duration) {
    loop {
        let limit = clock.now().as_ms().saturating_sub(age_max.as_millis() as u64);
        match data.forget_before(Timestamp::from_ms(limit)).await {
            Ok(0) => {}
            Ok(changes) => info!(changes, "history was removed that is older than it is kept"),
            Err(why) => warn!(%why, "old history was not removed"),
        }
        tokio::time::sleep(RETENTION_PAUSE).await;
    }
}

/// It ends by itself when the store is of no use any more.
async fn upkeep(store: Arc<dyn Backend>) -> TaskExit {
    store.run().await;
    TaskExit::Fatal(store.unready_reason().unwrap_or_else(|| "the store cannot be used".to_owned()))
}

/// What is said of a task that fails.
fn finding(trouble: TaskFailure) -> Finding {
    let is_grave = trouble.is_grave();
    let TaskFailure { task, failures, why } = trouble;
    let said = match failures {
        1 => format!("the task {} has failed and is begun anew: {why}", task.name),
        _ => format!("the task {} has failed {failures} times in a row: {why}", task.name),
    };
    if is_grave { Finding::NotReady(said) } else { Finding::Degraded(said) }
}

/// As many connections as descriptors allow that nothing else needs: a client must not take the one of Redis.
fn fitting(room: http::ConnectionLimits, descriptors: Option<u64>, config: &Config) -> http::ConnectionLimits {
    let Some(descriptors) = descriptors else { return room };
    let redis = config.redis.as_ref().map_or(0, |redis| DESCRIPTORS_OF_PARTITION * u64::from(redis.partitions));
    let database = config.audit.as_ref().map_or(0, |audit| audit.threads as u64 + DESCRIPTORS_OF_ARCHIVE);
    let own = DESCRIPTORS + redis + database;
    let fitting = room.within(descriptors.saturating_sub(own));
    if fitting.connections_max < room.connections_max {
        let (max_connections, connections) = (room.connections_max, fitting.connections_max);
        warn!(
            max_connections,
            connections,
            descriptors,
            own,
            "MAX_CONNECTIONS does not fit into the limit on descriptors: so many are served; raise it (ulimit -n)"
        );
    }
    fitting
}

/// A limit; 0 is none.
fn rate_limit(max: u32, window_s: u32) -> Option<RateLimit> {
    (max > 0).then_some(RateLimit { max, window_s })
}

fn lifetimes(config: &Config) -> Lifetimes {
    Lifetimes {
        pending: Millis::new(config.lifetime_pending.as_millis() as u64),
        idle: Millis::new(config.lifetime_idle.as_millis() as u64),
        ended: Millis::new(config.lifetime_ended.as_millis() as u64),
    }
}
