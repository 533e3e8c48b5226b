//! An instance of the server on a machine: the store, the deadlines, the audit, without HTTP. Does not know who asks it.

use std::sync::Arc;
use std::time::Duration;

use synckairos::audit::{AuditMetrics, AuditQueue, Consumer, Sinks};
use synckairos::clock::Clock;
use synckairos::deadlines::{self, DeadlineMetrics};
use synckairos::engine::Millis;
use synckairos::redis::{Certificates, Keyspace, RedisServer};
use synckairos::sessions::Sessions;
use synckairos::store::redis::{CommitPolicy, QueueBudget, RecordFormat, RecordPolicy, RedisStore, StoreLocation};
use synckairos::store::{Backend, Lifetimes, Metrics};
use synckairos::supervision::Supervisor;

use super::database::Database;
use super::machine::Machine;
use super::watcher::Watcher;

/// How long a reply of Redis may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of audit jobs that may wait.
const QUEUE_BYTES_MAX: u64 = 1 << 24;
/// How many sinks write at the same time.
const SINKS: usize = 2;

/// What all instances of a run have in common.
#[derive(Clone)]
pub struct Setting {
    /// Where sessions are kept.
    pub url: String,
    /// How many partitions there are.
    pub partitions: u16,
    /// Where changes are audited, if they are.
    pub database: Option<Database>,
}

/// An instance that runs.
pub struct Instance {
    /// What it runs on.
    pub machine: Arc<Machine>,
    /// What it is asked.
    pub sessions: Sessions,
    /// What it tells its clients.
    pub watcher: Arc<Watcher>,
    /// What it counts.
    pub metrics: prometheus_client::registry::Registry,
}

impl Instance {
    /// Starts one.
    pub fn start(machine: &Arc<Machine>, setting: &Setting) -> Self {
        machine.enter(|| Self::start_here(machine, setting))
    }

    fn start_here(machine: &Arc<Machine>, setting: &Setting) -> Self {
        let clock = Clock::system();
        let mut registry = prometheus_client::registry::Registry::default();
        let supervisor = Supervisor::register(&mut registry);
        let metrics = Metrics::register(&mut registry, supervisor.clone());
        let watcher = Arc::new(Watcher::default());
        let server = RedisServer::parse(&setting.url, &Certificates::default(), REPLY_TIMEOUT);
        let server = server.unwrap_or_else(|why| unreachable!("the URL is ours: {why}"));
        let keyspace = Keyspace::new("", setting.partitions);
        let location = StoreLocation { server: server.clone(), keyspace: keyspace.clone(), timeout: REQUEST_TIMEOUT };
        let hour = Millis::new(3_600_000);
        let lifetimes = Lifetimes { pending: hour, idle: hour, ended: hour };
        let records = RecordPolicy { format: RecordFormat::default(), lifetimes, tombstone_ttl: hour };
        let bytes_max = QUEUE_BYTES_MAX / u64::from(setting.partitions);
        let audit = setting.database.as_ref().map(|_| QueueBudget { bytes_max });
        let listener = Arc::clone(&watcher) as _;
        let store =
            RedisStore::new(&clock, location, records, CommitPolicy { audit, replicas_min: 0 }, &listener, &metrics);
        let wake_ups = store.wake_ups();
        let store: Arc<dyn Backend> = Arc::new(store);
        let sessions = Sessions::new(Arc::clone(&store) as _);
        machine.run(deadlines::fire(
            sessions.clone(),
            Arc::clone(&store) as _,
            DeadlineMetrics::register(&mut registry),
            supervisor.clone(),
        ));
        machine.run(async move { store.run().await });
        if let Some(database) = &setting.database {
            let metrics = AuditMetrics::register(&mut registry, supervisor);
            let queues = AuditQueue::all(&server, &keyspace).into_iter().zip(wake_ups);
            let queues = queues.map(|(queue, wake_up)| queue.with_wake_up(wake_up)).collect();
            let sinks = Sinks::new(SINKS, || database.sink());
            let consumer = Consumer::new(&clock, queues, sinks, QUEUE_BYTES_MAX / 5, &metrics);
            let consumer = consumer.unwrap_or_else(|error| unreachable!("it needs no threads: {error}"));
            machine.run(consumer.run(std::future::pending()));
        }
        Self { machine: Arc::clone(machine), sessions, watcher, metrics: registry }
    }

    /// A counter of its own, by the name under which it is shown.
    pub fn counter(&self, name: &str) -> u64 {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.metrics).is_err() {
            return 0;
        }
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("_total "));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
    }
}
