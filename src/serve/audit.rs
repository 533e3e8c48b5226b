//! Where changes are audited and read back, if they are. Does not know what a change is.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::audit::{AuditMetrics, AuditQueue, AwayCollector, Consumer, Sinks};
use crate::postgres::{self, PostgresArchive, PostgresServer, PostgresSink, SchemaStatus};
use crate::readiness::Finding;
use crate::redis::{Keyspace, RedisServer, WakeUp};
use crate::runtime;
use crate::store::{Archive, RevocationStore};
use crate::supervision::{Panicked, Supervisor, Task};

use super::wiring::Wiring;

/// The audit, as far as there is one.
#[derive(Default)]
pub(super) struct WiredAudit {
    /// Where changes are read back.
    pub(super) archive: Option<Arc<dyn Archive>>,
    /// Where what is revoked is kept, beside Redis.
    pub(super) revocations: Option<Arc<dyn RevocationStore>>,
    pub(super) consumer: Option<AuditConsumer>,
}

/// Writes the audit once the tables are migrated, or somebody knows why they cannot be.
pub(super) struct AuditConsumer {
    consumer: Consumer,
    tables: SchemaStatus,
}

impl Wiring<'_> {
    /// The audit, if there is one: its tasks, its archive and its consumer.
    pub(super) fn audit(&mut self, server: Option<RedisServer>, wake_ups: Vec<WakeUp>) -> io::Result<WiredAudit> {
        let metrics = AuditMetrics::register(&mut self.registry, self.supervisor.clone());
        let (Some(redis), Some(server), Some(audit)) = (&self.config.redis, server, &self.config.audit) else {
            self.registry.register_collector(Box::new(AwayCollector::new(|| false)));
            return Ok(WiredAudit::default());
        };
        let database = PostgresServer::open(&audit.access).map_err(io::Error::other)?;
        let tables = SchemaStatus::default();
        let (supervisor, migrated, found) = (self.supervisor.clone(), database.clone(), tables.clone());
        let migrate = move || postgres::keep_migrated(migrated.clone(), supervisor.clone(), found.clone());
        self.tasks.spawn(self.supervisor.keep(Task::auxiliary("migration"), migrate));
        if let Some(age_max) = self.config.history_age_max {
            let (supervisor, kept, told) = (self.supervisor.clone(), database.clone(), tables.clone());
            let forget = move || postgres::keep_retained(kept.clone(), age_max, told.clone(), supervisor.clone());
            self.tasks.spawn(self.supervisor.keep(Task::auxiliary("retention"), forget));
        }
        let queues = AuditQueue::all(&server, &Keyspace::new(&redis.prefix, redis.partitions));
        let queues = queues.into_iter().zip(wake_ups).map(|(queue, wake_up)| queue.with_wake_up(wake_up)).collect();
        let sinks = Sinks::new(audit.threads, || Box::new(PostgresSink::new(database.clone())));
        let consumer = Consumer::new(&self.clock, queues, sinks, audit.queue_bytes_max / 5, &metrics)?;
        let health = consumer.health();
        let archive = Arc::new(PostgresArchive::start(database, &self.supervisor)?);
        let revocations = Arc::clone(&archive);
        let (known, writers) = (tables.clone(), health.clone());
        let away = Arc::new(move || known.degraded().or_else(|| writers.unavailable()));
        let is_away = Arc::clone(&away);
        self.registry.register_collector(Box::new(AwayCollector::new(move || is_away().is_some())));
        self.readiness.add("audit", move || away().into_iter().chain(health.degraded()).map(Finding::Degraded));
        Ok(WiredAudit {
            archive: Some(archive),
            revocations: Some(revocations),
            consumer: Some(AuditConsumer { consumer, tables }),
        })
    }
}

/// Starts the consumer, which ends after the server: what was acknowledged last is written too, if that is quickly done. It
/// ends when the sender is used or dropped.
pub(super) fn start(
    consumer: Option<AuditConsumer>,
    supervisor: &Supervisor,
) -> (Option<runtime::TaskHandle<Result<(), Panicked>>>, oneshot::Sender<()>) {
    let (end, ended) = oneshot::channel::<()>();
    let audit = consumer.map(|AuditConsumer { consumer, tables }| {
        supervisor.spawn("audit", async move {
            let mut ended = std::pin::pin!(async { drop(ended.await) });
            tokio::select! {
                biased;
                () = tables.known() => consumer.run(ended).await,
                () = &mut ended => {}
            }
        })
    });
    (audit, end)
}
