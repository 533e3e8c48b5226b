//! A shard: the sessions that one Redis server keeps at a time, which are all of them, or with a Cluster those of a
//! partition. Puts its parts together and hands requests to its tasks. Does not know that there may be other shards.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::client::ClientId;
use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp};
use crate::redis::WakeUp;
use crate::runtime::time;
use crate::store::arrival::{Arrival, Arrivals};
use crate::store::{
    Commit, CommitOutcome, Listener, Metrics, PendingAudit, RateLimit, RateLimitStatus, Read, StoreError, Subscribed,
    ids,
};

use super::commit::{
    AuditProducer, Cancellation, CommitContext, CommitPolicy, DecisionInputs, PendingCommit, RefusalCounter, Replicas,
};
use super::connection::{Connector, StoreLocation};
use super::deadlines::{self, Timers};
use super::health::{DEGRADATIONS, HealthLog, LossDetector, ServerHealth, ShardHealth};
use super::read::{Lookup, ReaderPool};
use super::record_policy::RecordPolicy;
use super::shard_tasks;
use super::subscriptions::{INTERRUPTED, SubscriptionRequest};
use super::time::ServerClock;

/// Committers, and connections for reads, where all sessions are in one shard. Of many shards each has one.
const CONNECTIONS_WHOLE: usize = 2;
/// Overdue sessions that are returned at once.
const OVERDUE_BATCH: usize = 1_024;

/// The sessions of a shard. Its tasks run until it is dropped.
pub(super) struct RedisShard {
    clock: Clock,
    connector: Arc<Connector>,
    arrivals: Arc<Arrivals>,
    timers: Arc<Timers>,
    /// Wakes the consumer of the audit queue.
    wake_up: WakeUp,
    /// How long a request may take.
    timeout: Duration,
    /// How long a call waits.
    patience: Duration,
    committers: Box<[mpsc::Sender<PendingCommit>]>,
    readers: ReaderPool,
    subscriptions: mpsc::UnboundedSender<SubscriptionRequest>,
}

impl RedisShard {
    /// A shard on a server that need not answer yet.
    pub(super) fn new(
        clock: &Clock,
        location: StoreLocation,
        records: RecordPolicy,
        commits: CommitPolicy,
        listener: Arc<dyn Listener>,
        metrics: Metrics,
        log: Arc<HealthLog>,
    ) -> Self {
        let (patience, timeout) = (location.patience(), location.timeout);
        let StoreLocation { server, keyspace, .. } = location;
        let (own, all) = (keyspace.all().count(), usize::from(keyspace.partitions()));
        let (connections, connections_all) = if own == all { (CONNECTIONS_WHOLE, CONNECTIONS_WHOLE) } else { (1, all) };
        let supervisor = metrics.supervisor().clone();
        let server_clock = Arc::new(ServerClock::new(clock, metrics.clone()));
        let health = Arc::new(ShardHealth::new(ServerHealth::new(log), own, metrics.clone()));
        let (loss_detector, timers) = (Arc::new(LossDetector::default()), Arc::new(Timers::default()));
        let arrivals = Arrivals::new(clock.clone());
        let connector = Arc::new(Connector::new(
            server,
            keyspace.clone(),
            Arc::clone(&server_clock),
            Arc::clone(&loss_detector),
            Arc::clone(&health),
            metrics.clone(),
        ));
        let lifetimes = records.lifetimes;
        let context = Arc::new(CommitContext {
            inputs: DecisionInputs {
                server_clock,
                arrivals: Arc::clone(&arrivals),
                timers: Arc::clone(&timers),
                loss_detector,
                supervisor: supervisor.clone(),
            },
            records,
            audit: AuditProducer::new(commits.audit),
            refusals: RefusalCounter::new(keyspace.clone(), clock.clone()),
            replicas: Replicas::new(commits.replicas_min),
            health,
            metrics,
            keyspace,
        });
        let wake_up = context.audit.wake_up().clone();
        let committers = shard_tasks::spawn_committers(&supervisor, &context, &connector, connections, connections_all);
        let readers = shard_tasks::spawn_readers(&supervisor, &connector, connections, connections_all);
        let readers = ReaderPool::new(readers, patience);
        let subscriptions =
            shard_tasks::spawn_subscriptions(&supervisor, &connector, lifetimes, listener, readers.clone());
        let clock = clock.clone();
        Self { clock, connector, arrivals, timers, wake_up, timeout, patience, committers, readers, subscriptions }
    }

    /// Wakes the consumer of the audit queue when jobs were queued.
    pub(super) fn wake_up(&self) -> WakeUp {
        self.wake_up.clone()
    }

    /// Why none of the sessions can be served; `None` when they can.
    pub(super) fn unready_reason(&self) -> Option<String> {
        self.connector.health().unready_reason()
    }

    /// What does not work although sessions are served.
    pub(super) fn degradations(&self) -> [Option<String>; DEGRADATIONS] {
        self.connector.health().degradations()
    }

    /// A sentence about a recent step of Redis' own clock, if there was one.
    pub(super) fn step_report(&self) -> Option<String> {
        self.connector.server_clock().step_report()
    }

    /// The time of the server clock, asked afresh.
    pub(super) async fn now(&self) -> Result<Timestamp, StoreError> {
        self.readers.ask(Lookup::Time).await
    }

    /// Waits until the server clock shows `at`.
    pub(super) async fn sleep_until(&self, at: Timestamp) {
        self.connector.server_clock().sleep_until(at).await;
    }

    /// Records the arrival of a command.
    pub(super) fn arrive(&self, id: SessionId) -> Arrival {
        self.arrivals.enter(id)
    }

    /// The state of a session.
    pub(super) async fn read(&self, id: SessionId) -> Result<Read, StoreError> {
        self.readers.ask(move |reply| Lookup::State(id, reply)).await
    }

    /// Hands a commit to its committer, and waits for the outcome.
    pub(super) async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        let committer = commit.id.0.bucket(self.committers.len());
        let (event, cancellation) = (ids::uuid(self.clock.now()), Arc::new(Cancellation::default()));
        let expires = self.clock.moment() + self.patience;
        let pending = PendingCommit::new(commit, event, expires, Arc::clone(&cancellation), reply);
        if self.committers[committer].try_send(pending).is_err() {
            return Err(StoreError::Unavailable("too many changes are waiting"));
        }
        let answered = match time::timeout(self.patience, answer).await {
            Ok(answered) => answered.unwrap_or(Err(StoreError::UnknownOutcome)),
            Err(_) if cancellation.withdraw() => Err(StoreError::Unavailable("the store does not answer in time")),
            Err(_) => Err(StoreError::UnknownOutcome),
        };
        if matches!(answered, Err(StoreError::UnknownOutcome)) {
            self.connector.metrics().unknown_outcome();
        }
        answered
    }

    /// Subscribes to a session.
    pub(super) async fn subscribe(&self, id: SessionId) -> Result<Subscribed, StoreError> {
        let (reply, joined) = oneshot::channel();
        self.subscriptions
            .send(SubscriptionRequest::Subscribe(id, reply))
            .map_err(|_| StoreError::Unavailable("the server stops"))?;
        let joined = time::timeout(self.patience, joined).await;
        let (Read { snapshot, now, .. }, subscription) =
            joined.map_err(|_| INTERRUPTED)?.unwrap_or(Err(INTERRUPTED))?;
        let countdown = snapshot.as_ref().map(|snapshot| snapshot.countdown()).unwrap_or_default();
        Ok(Subscribed { snapshot, countdown, now, subscription })
    }

    /// The audit jobs of a session that are not written yet.
    pub(super) async fn pending_audit(&self, id: SessionId) -> Result<PendingAudit, StoreError> {
        self.readers.ask(move |reply| Lookup::PendingAudit(id, reply)).await
    }

    /// Waits until deadlines have passed; returns the sessions.
    pub(super) async fn overdue(&self) -> Vec<SessionId> {
        let server_clock = self.connector.server_clock();
        loop {
            let due = self.timers.due(server_clock.now(), OVERDUE_BATCH);
            if !due.is_empty() {
                return due;
            }
            let earliest = async {
                match self.timers.earliest() {
                    Some(deadline) => server_clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = earliest => {}
                () = self.timers.moved.notified() => {}
            }
        }
    }

    /// Keeps a session out of [`RedisShard::overdue`] for a while, unless something is committed.
    pub(super) fn postpone(&self, id: SessionId, pause: Duration) {
        let now = self.connector.server_clock().now();
        self.timers.postpone(id, now, now + Millis::new(pause.as_millis() as u64));
    }

    /// The number of sessions with a running clock, as far as this instance knows.
    pub(super) fn running_clocks(&self) -> usize {
        self.timers.len()
    }

    /// Counts one more request of a client.
    pub(super) async fn hit_rate_limit(
        &self,
        client: ClientId,
        rate: RateLimit,
    ) -> Result<RateLimitStatus, StoreError> {
        // A limit that cannot be counted lets requests through, which then need the rest of the time.
        let patience = self.timeout / 10;
        self.readers.ask_within(patience, move |reply| Lookup::Count(client, rate, reply)).await
    }

    /// Sweeps for overdue deadlines until it is dropped, or the server is lastingly misconfigured.
    pub(super) async fn run(&self) {
        deadlines::sweep(&self.connector, &self.timers).await;
    }
}
