//! What the tasks of a shard have in common: its server, its time, and whether it can be used. Does not know what
//! they ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::client_address::ClientAddress;
use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp};
use crate::redis::{
    Keyspace, Misconfigured, Partition, PreflightReport, RedisConnection, RedisError, RedisServer, Subscriber, WakeUp,
    preflight,
};
use crate::store::arrival::Arrivals;
use crate::store::metrics::{Metrics, Rejected};
use crate::store::rate_limit::RateWindows;
use crate::store::redis::RecordFormat;
use crate::store::redis::RedisStoreOptions;
use crate::store::redis::commit::QueueBudget;
use crate::store::redis::commit::Replicas;
use crate::store::redis::deadlines::Timers;
use crate::store::redis::health::faults::Faults;
use crate::store::redis::health::loss_detector::{self, LossDetector};
use crate::store::redis::health::quarantine::Quarantine;
use crate::store::redis::health::server_health::{HealthLog, ServerHealth};
use crate::store::redis::time::ServerClock;
use crate::store::redis::time::agreement;
use crate::store::{Lifetimes, Listener};

/// How long to sleep before looking at the server clock's clock again.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// How long to sleep when nothing is known of it.
const SLEEP_UNKNOWN: Duration = Duration::from_millis(10);

/// What the tasks of a shard share.
pub(super) struct ShardContext {
    pub(super) clock: Clock,
    pub(super) server: RedisServer,
    pub(super) keyspace: Keyspace,
    pub(super) server_clock: ServerClock,
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) timers: Timers,
    pub(super) tombstone_ttl: Millis,
    pub(super) lifetimes: Lifetimes,
    pub(super) record_format: RecordFormat,
    pub(super) timeout: Duration,
    pub(super) audit: Option<QueueBudget>,
    /// Wakes the audit agent when jobs were queued.
    pub(super) wake_up: WakeUp,
    pub(super) replicas: Replicas,
    pub(super) loss_detector: LossDetector,
    pub(super) metrics: Metrics,
    /// Who was refused what too often, as far as this instance knows.
    pub(super) refusals: RateWindows<(SessionId, ClientAddress)>,
    pub(super) faults: Faults,
    /// Why updates cannot be heard, if they cannot.
    interrupted: Mutex<Option<String>>,
    quarantine: Quarantine,
    log: Arc<HealthLog>,
    health: ServerHealth,
    /// The run of the server that the last connection led to.
    run: AsyncMutex<Option<Arc<str>>>,
    /// How often another server had become the one when somebody connected last.
    changes: AtomicU64,
    /// That run was looked at and found fit.
    is_examined: AtomicBool,
    /// It was found fit once: what is wrong with it since may be mended by somebody.
    was_fit: AtomicBool,
}

impl ShardContext {
    /// Nothing is known of the server yet.
    pub(super) fn new(
        clock: Clock,
        options: RedisStoreOptions,
        listener: Arc<dyn Listener>,
        log: Arc<HealthLog>,
    ) -> Self {
        let RedisStoreOptions {
            server,
            keyspace,
            timeout,
            tombstone_ttl,
            lifetimes,
            audit,
            replicas_min,
            record_format,
            metrics,
        } = options;
        Self {
            server_clock: ServerClock::new(&clock, metrics.clone()),
            arrivals: Arrivals::new(clock.clone()),
            health: ServerHealth::new(Arc::clone(&log)),
            log,
            clock,
            server,
            keyspace,
            listener,
            timers: Timers::default(),
            tombstone_ttl,
            lifetimes,
            record_format,
            timeout,
            audit,
            wake_up: WakeUp::default(),
            replicas: Replicas::new(replicas_min),
            loss_detector: LossDetector::default(),
            metrics,
            refusals: RateWindows::new(),
            faults: Faults::default(),
            interrupted: Mutex::default(),
            quarantine: Quarantine::default(),
            run: AsyncMutex::default(),
            changes: AtomicU64::new(0),
            is_examined: AtomicBool::new(false),
            was_fit: AtomicBool::new(false),
        }
    }

    /// What is missing before the sessions can be served; `None` when nothing is.
    pub(super) fn missing(&self) -> Option<String> {
        self.health.missing().or_else(|| self.faults.whole(self.keyspace.all().count()))
    }

    /// What does not work although the rest can be served.
    pub(super) fn impaired(&self) -> Option<String> {
        let faults = self.faults.some(self.keyspace.all().count());
        faults.or_else(|| self.interrupted.lock().as_ref().map(|why| format!("updates are interrupted: {why}")))
    }

    /// Updates cannot be heard, and why; or can be again.
    pub(super) fn set_interrupted(&self, why: Option<String>) {
        let mut interrupted = self.interrupted.lock();
        if interrupted.is_some() != why.is_some() {
            self.metrics.updates_are(why.is_some());
        }
        *interrupted = why;
    }

    /// What is not as it should be although the sessions can be served.
    pub(super) fn caution(&self) -> Option<String> {
        let by_ms = self.server_clock.stepped_ms(self.clock.moment())?;
        let (direction, by_s) = (if by_ms < 0 { "back" } else { "forward" }, by_ms.unsigned_abs() as f64 / 1e3);
        Some(format!("the clock of Redis was set {direction} by {by_s:.1} s: sessions go on without it"))
    }

    /// How long somebody waits: a little less than their request may take, so that they can be told.
    pub(super) fn patience(&self) -> Duration {
        self.timeout * 4 / 5
    }

    /// A connection; whether it could be made decides whether the server is ready.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<RedisConnection, RedisError> {
        let changes = self.server.changes();
        if self.changes.swap(changes, Ordering::Relaxed) != changes {
            self.health.is_another();
        }
        self.health.enter(self.clock.moment())?;
        let made = self.server.connect().await;
        let connection = made.inspect_err(|error| self.health.away(error, self.clock.moment()))?;
        let connection = self.examined(connection).await;
        match &connection {
            Ok(_) => self.health.fit(),
            Err(error) => self.health.unfit(error, self.clock.moment()),
        }
        connection
    }

    /// A connection that is told what is published, when the others can be made.
    pub(super) async fn subscribe(&self) -> Result<Subscriber, RedisError> {
        match self.health.trouble() {
            Some(error) => Err(error),
            None => self.server.subscribe().await,
        }
    }

    async fn examined(&self, mut connection: RedisConnection) -> Result<RedisConnection, RedisError> {
        // Whoever comes second waits: nothing is committed to another run before what it may have forgotten is known.
        let mut run = self.run.lock().await;
        let is_same = run.as_ref() == Some(connection.run_id());
        if !is_same || !self.is_examined.load(Ordering::Relaxed) {
            let examined = preflight(&mut connection, &self.keyspace).await;
            let PreflightReport { warnings, faults } = examined.map_err(|error| self.excused(error))?;
            warnings.into_iter().for_each(|what| self.log.caution(what));
            faults.into_iter().for_each(|(partition, why)| self.fault(partition, why));
            self.is_examined.store(true, Ordering::Relaxed);
            self.was_fit.store(true, Ordering::Relaxed);
        }
        if is_same {
            return Ok(connection);
        }
        // Another server may have another clock, and correct it by something else.
        agreement::begin(self, &mut connection).await?;
        if run.is_some() {
            loss_detector::compare(self, &mut connection).await?;
        } else {
            self.loss_detector.begin(connection.run_id());
        }
        *run = Some(Arc::clone(connection.run_id()));
        Ok(connection)
    }

    /// Whoever has served with what it was told was told right: others have changed what is there, and may put it right.
    fn excused(&self, error: RedisError) -> RedisError {
        match error {
            RedisError::Misconfigured(Misconfigured { why, is_lasting }) => {
                let is_lasting = is_lasting && !self.was_fit.load(Ordering::Relaxed);
                RedisError::Misconfigured(Misconfigured { why, is_lasting })
            }
            RedisError::Io(_) | RedisError::Server(_) | RedisError::Moved(_) | RedisError::TryAgain(_) => error,
        }
    }

    /// Something failed on a connection that stood. What was refused may be for a reason that `/ready` should tell: whoever
    /// connects next has another look, and not at once, since it may be refused again.
    pub(super) fn failed(&self, error: &RedisError) {
        match error {
            RedisError::Server(_) => {
                self.is_examined.store(false, Ordering::Relaxed);
                self.health.refused(error, self.clock.moment());
            }
            RedisError::Io(_) | RedisError::Misconfigured(_) | RedisError::Moved(_) | RedisError::TryAgain(_) => {}
        }
    }

    /// What came of looking at the server now and then.
    pub(super) fn looked(&self, result: &Result<(), RedisError>) {
        match result {
            Ok(()) => self.health.is_well(),
            // Whoever connects again finds out, and tells.
            Err(RedisError::Io(_)) => {}
            Err(error) => self.health.tell(error, self.clock.moment()),
        }
    }

    /// What this process was told is not so.
    pub(super) fn is_misled(&self) -> bool {
        self.health.is_misled()
    }

    /// What is stored of a session cannot be read.
    pub(super) fn reject(&self, id: SessionId, value: &[u8], why: &str) {
        self.quarantine.reject(id, &self.keyspace.session(id), value, why, &self.metrics);
    }

    /// A key of a partition cannot be written to as it is.
    pub(super) fn fault(&self, partition: Partition, why: String) {
        if self.faults.found(partition, why) {
            self.metrics.rejected(Rejected::Key);
        }
    }

    /// The server clock's time, as far as it is known; nothing is due before the first reading.
    pub(super) fn estimate(&self) -> Timestamp {
        let us = self.server_clock.estimate_us(self.clock.moment());
        Timestamp::from_ms(us.unwrap_or_default() / 1_000)
    }

    pub(super) async fn sleep_until(&self, at: Timestamp) {
        loop {
            let Some(now_us) = self.server_clock.estimate_us(self.clock.moment()) else {
                tokio::time::sleep(SLEEP_UNKNOWN).await;
                continue;
            };
            let left_us = at.as_ms().saturating_mul(1_000).saturating_sub(now_us);
            if left_us == 0 {
                return;
            }
            // Not in one piece: what is known of the server clock's clock gets better.
            tokio::time::sleep(Duration::from_micros(left_us).min(SLEEP_MAX)).await;
        }
    }
}
