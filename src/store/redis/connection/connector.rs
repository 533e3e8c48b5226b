//! The connector of a shard: makes connections to its server, with a circuit breaker in front, and examines each run of
//! the server before it is used: a preflight check, the correction of its clock, and what it has lost. Does not know
//! what is asked on the connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex as AsyncMutex;

use crate::clock::Moment;
use crate::redis::{
    Keyspace, Misconfigured, PreflightReport, RedisConnection, RedisError, RedisServer, Subscriber, preflight,
};
use crate::store::Metrics;
use crate::store::redis::health::{LossDetector, ShardHealth, loss_detector};
use crate::store::redis::time::{ServerClock, agreement};

/// Makes connections to the server of a shard.
pub(in crate::store::redis) struct Connector {
    server: RedisServer,
    keyspace: Keyspace,
    server_clock: Arc<ServerClock>,
    loss_detector: Arc<LossDetector>,
    health: Arc<ShardHealth>,
    metrics: Metrics,
    examination: Examination,
    /// How often the topology had changed at the last connect.
    changes: AtomicU64,
}

/// What is known of the run of the server that the last connection led to.
#[derive(Default)]
struct Examination {
    run: AsyncMutex<Option<Arc<str>>>,
    /// That run has passed the preflight check.
    is_passed: AtomicBool,
    /// A run has passed it before: an operator may mend what is wrong with it since.
    was_passed: AtomicBool,
}

impl Connector {
    /// A connector to a server that need not answer yet.
    pub(in crate::store::redis) fn new(
        server: RedisServer,
        keyspace: Keyspace,
        server_clock: Arc<ServerClock>,
        loss_detector: Arc<LossDetector>,
        health: Arc<ShardHealth>,
        metrics: Metrics,
    ) -> Self {
        let (examination, changes) = (Examination::default(), AtomicU64::new(0));
        Self { server, keyspace, server_clock, loss_detector, health, metrics, examination, changes }
    }

    /// The names of keys and channels.
    pub(in crate::store::redis) fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    /// The clock of the server.
    pub(in crate::store::redis) fn server_clock(&self) -> &ServerClock {
        &self.server_clock
    }

    /// The health of the shard.
    pub(in crate::store::redis) fn health(&self) -> &ShardHealth {
        &self.health
    }

    /// What is counted.
    pub(in crate::store::redis) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How often the topology has changed.
    pub(in crate::store::redis) fn changes(&self) -> u64 {
        self.server.changes()
    }

    /// A connection; whether it could be made decides whether the shard is ready.
    pub(super) async fn connect(&self) -> Result<RedisConnection, RedisError> {
        let changes = self.server.changes();
        let server = &self.health.server;
        if self.changes.swap(changes, Ordering::Relaxed) != changes {
            server.is_another();
        }
        server.enter(self.moment())?;
        let made = self.server.connect().await;
        let connection = made.inspect_err(|error| server.away(error, self.moment()))?;
        let connection = self.examine(connection).await;
        match &connection {
            Ok(_) => server.fit(),
            Err(error) => server.unfit(error, self.moment()),
        }
        connection
    }

    /// A connection for subscriptions, when the others can be made.
    pub(in crate::store::redis) async fn subscribe(&self) -> Result<Subscriber, RedisError> {
        match self.health.server.trouble() {
            Some(error) => Err(error),
            None => self.server.subscribe().await,
        }
    }

    /// Finds out whether the server is still away when a connection could not be made, although others stand: perhaps
    /// nobody else needs one.
    pub(in crate::store::redis) async fn look_again(&self) {
        if self.health.server.trouble().is_some() {
            // What comes of it is noted.
            let _ = self.connect().await;
        }
    }

    async fn examine(&self, mut connection: RedisConnection) -> Result<RedisConnection, RedisError> {
        // A second connection waits: nothing is committed to another run before its losses are known.
        let mut run = self.examination.run.lock().await;
        let is_same = run.as_ref() == Some(connection.run_id());
        if !is_same || !self.examination.is_passed.load(Ordering::Relaxed) {
            let report = preflight(&mut connection, &self.keyspace).await;
            let PreflightReport { warnings, faults } = report.map_err(|error| self.temporary_if_passed(error))?;
            warnings.into_iter().for_each(|what| self.health.server.caution(what));
            faults.into_iter().for_each(|(partition, why)| self.health.fault(partition, why));
            self.examination.is_passed.store(true, Ordering::Relaxed);
            self.examination.was_passed.store(true, Ordering::Relaxed);
        }
        if is_same {
            return Ok(connection);
        }
        // Another server may have another clock, with another correction.
        agreement::begin(&self.server_clock, &self.keyspace, &mut connection).await?;
        if run.is_some() {
            let detector = &self.loss_detector;
            let now = self.moment();
            loss_detector::compare(detector, &self.keyspace, &mut connection, &self.metrics, now).await?;
        } else {
            self.loss_detector.begin(connection.run_id());
        }
        *run = Some(Arc::clone(connection.run_id()));
        Ok(connection)
    }

    /// Once a run has passed the preflight check the settings of this process are right: what fails later was changed
    /// by others, who may mend it.
    fn temporary_if_passed(&self, error: RedisError) -> RedisError {
        match error {
            RedisError::Misconfigured(Misconfigured { why, is_lasting }) => {
                let is_lasting = is_lasting && !self.examination.was_passed.load(Ordering::Relaxed);
                RedisError::Misconfigured(Misconfigured { why, is_lasting })
            }
            RedisError::Io(_) | RedisError::Server(_) | RedisError::Moved(_) | RedisError::TryAgain(_) => error,
        }
    }

    /// A request failed on a connection that had been made. The server may refuse it for a reason that `/ready` names:
    /// the next connection repeats the preflight check, after a pause.
    pub(in crate::store::redis) fn failed(&self, error: &RedisError) {
        match error {
            RedisError::Server(_) => {
                self.examination.is_passed.store(false, Ordering::Relaxed);
                self.health.server.refused(error, self.moment());
            }
            RedisError::Io(_) | RedisError::Misconfigured(_) | RedisError::Moved(_) | RedisError::TryAgain(_) => {}
        }
    }

    /// The outcome of a periodic check of the server.
    pub(in crate::store::redis) fn checked(&self, result: &Result<(), RedisError>) {
        match result {
            Ok(()) => self.health.server.is_well(),
            // The next connect finds out why, and reports it.
            Err(RedisError::Io(_)) => {}
            Err(error) => self.health.server.tell(error, self.moment()),
        }
    }

    fn moment(&self) -> Moment {
        self.server_clock.moment()
    }
}
