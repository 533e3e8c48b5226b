//! Sessions that one Redis server keeps at a time: all of them, or with a Cluster those of a partition. Time is that
//! server's. Knows how commands, reads and updates share connections; does not know what a session is beyond its
//! record, nor that there may be other shards.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

use crate::client_address::ClientAddress;
use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp};
use crate::redis::WakeUp;
use crate::store::arrival::Arrival;
use crate::store::redis::RedisStoreOptions;
use crate::store::redis::commit::Cancellation;
use crate::store::redis::commit::Committer;
use crate::store::redis::commit::PendingCommit;
use crate::store::redis::deadlines::sweep;
use crate::store::redis::health::server_health::HealthLog;
use crate::store::redis::read::reader::{self, Lookup};
use crate::store::redis::shard_context::ShardContext;
use crate::store::redis::subscriptions::{INTERRUPTED, SubscriptionRequest, Subscriptions};
use crate::store::{
    Backend, BoxFuture, Commit, CommitOutcome, Deadlines, Listener, PartitionClocks, PendingAudit, RateLimit,
    RateLimitStatus, RateLimiter, Read, SessionStore, StoreError, StoreFuture, Subscribed, ids,
};
use crate::supervision::{Task, TaskExit};

/// Committers, and connections for reads, where all sessions are in one shard: they are divided among them. Of many
/// shards each has one.
const CONNECTIONS_WHOLE: usize = 2;
/// Commands and reads that may wait for each connection; one more is refused.
const WAITING_MAX: usize = 4_096;
/// How many overdue sessions are handed out at once.
const OVERDUE_BATCH: usize = 1_024;

/// Sessions of a shard. Cloning shares the connections, which end with the last clone.
#[derive(Clone)]
pub(super) struct RedisShard {
    shared: Arc<ShardContext>,
    committers: Arc<[mpsc::Sender<PendingCommit>]>,
    readers: Arc<[mpsc::Sender<Lookup>]>,
    subscriptions: mpsc::UnboundedSender<SubscriptionRequest>,
}

impl RedisShard {
    /// A shard on a server that need not answer yet. Its tasks run until the last clone is dropped.
    pub(super) fn new(
        clock: Clock,
        options: RedisStoreOptions,
        listener: Arc<dyn Listener>,
        log: Arc<HealthLog>,
    ) -> Self {
        let (own, all) = (options.keyspace.all().count(), usize::from(options.keyspace.partitions()));
        let (connections, committers_all) = if own == all { (CONNECTIONS_WHOLE, CONNECTIONS_WHOLE) } else { (1, all) };
        let shared = Arc::new(ShardContext::new(clock, options, listener, log));
        let supervisor = shared.metrics.supervisor.clone();
        let committers = (0..connections).map(|_| {
            let (sender, inbox) = mpsc::channel(WAITING_MAX);
            let (shared, inbox) = (Arc::clone(&shared), Arc::new(AsyncMutex::new(inbox)));
            supervisor.spawn_kept(Task::essential("committer"), move || {
                let (shared, inbox) = (Arc::clone(&shared), Arc::clone(&inbox));
                async move {
                    Committer::new(shared, inbox.lock_owned().await, committers_all).run().await;
                    TaskExit::Done
                }
            });
            sender
        });
        let readers = (0..connections).map(|_| {
            let (sender, inbox) = mpsc::channel(WAITING_MAX);
            let (shared, inbox) = (Arc::clone(&shared), Arc::new(AsyncMutex::new(inbox)));
            supervisor.spawn_kept(Task::essential("reader"), move || {
                let (shared, inbox) = (Arc::clone(&shared), Arc::clone(&inbox));
                async move {
                    reader::serve(shared, inbox.lock_owned().await, committers_all).await;
                    TaskExit::Done
                }
            });
            sender
        });
        let (subscriptions, inbox) = mpsc::unbounded_channel();
        let store = Self { committers: committers.collect(), readers: readers.collect(), subscriptions, shared };
        let asks = store.subscriptions.downgrade();
        // Who watches what is kept when it is begun anew.
        let subscriptions = Subscriptions::new(Arc::clone(&store.shared), store.readers.clone(), asks, inbox);
        let subscriptions = Arc::new(AsyncMutex::new(subscriptions));
        supervisor.spawn_kept(Task::essential("updates"), move || {
            let subscriptions = Arc::clone(&subscriptions);
            async move {
                subscriptions.lock().await.run().await;
                TaskExit::Done
            }
        });
        store
    }

    pub(super) fn caution(&self) -> Option<String> {
        self.shared.caution()
    }

    /// What does not work although the rest can be served.
    pub(super) fn impaired(&self) -> Option<String> {
        self.shared.impaired()
    }

    pub(super) fn wake_up(&self) -> WakeUp {
        self.shared.wake_up.clone()
    }

    async fn ask<T>(&self, lookup: impl FnOnce(reader::ReplyTo<T>) -> Lookup) -> Result<T, StoreError> {
        reader::ask(&self.readers, self.shared.patience(), lookup).await
    }
}

impl PartitionClocks for RedisShard {
    fn partitions(&self) -> usize {
        1
    }

    fn partition(&self, _: SessionId) -> usize {
        0
    }

    fn now(&self, _: Option<usize>) -> StoreFuture<'_, Timestamp> {
        self.now_of(0)
    }

    fn now_of(&self, _: usize) -> StoreFuture<'_, Timestamp> {
        Box::pin(self.ask(Lookup::Time))
    }

    fn sleep_until(&self, _: usize, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.sleep_until(at))
    }
}

impl SessionStore for RedisShard {
    fn arrive(&self, id: SessionId) -> Arrival {
        self.shared.arrivals.enter(id)
    }

    fn read(&self, id: SessionId) -> StoreFuture<'_, Read> {
        Box::pin(self.ask(move |reply| Lookup::State(id, reply)))
    }

    fn commit(&self, commit: Commit) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let place = commit.id.0.bucket(self.committers.len());
            let (event, cancellation) = (ids::uuid(self.shared.clock.now()), Arc::new(Cancellation::default()));
            let expires = self.shared.clock.moment() + self.shared.patience();
            let pending = PendingCommit::new(commit, event, expires, Arc::clone(&cancellation), reply);
            if self.committers[place].try_send(pending).is_err() {
                return Err(StoreError::Unavailable("too many changes are waiting"));
            }
            let answered = match tokio::time::timeout(self.shared.patience(), answer).await {
                Ok(answered) => answered.unwrap_or(Err(StoreError::UnknownOutcome)),
                Err(_) if cancellation.withdraw() => Err(StoreError::Unavailable("the store does not answer in time")),
                Err(_) => Err(StoreError::UnknownOutcome),
            };
            if matches!(answered, Err(StoreError::UnknownOutcome)) {
                self.shared.metrics.unknown_outcome();
            }
            answered
        })
    }

    fn subscribe(&self, id: SessionId) -> StoreFuture<'_, Subscribed> {
        Box::pin(async move {
            let (reply, joined) = oneshot::channel();
            self.subscriptions
                .send(SubscriptionRequest::Subscription(id, reply))
                .map_err(|_| StoreError::Unavailable("the server stops"))?;
            let joined = tokio::time::timeout(self.shared.patience(), joined).await;
            let (Read { snapshot, now, .. }, subscription) =
                joined.map_err(|_| INTERRUPTED)?.unwrap_or(Err(INTERRUPTED))?;
            let countdown = snapshot.as_ref().map(|snapshot| snapshot.countdown()).unwrap_or_default();
            Ok(Subscribed { snapshot, countdown, now, subscription })
        })
    }

    fn pending_audit(&self, id: SessionId) -> StoreFuture<'_, PendingAudit> {
        Box::pin(self.ask(move |reply| Lookup::PendingAudit(id, reply)))
    }
}

impl Deadlines for RedisShard {
    fn overdue(&self, _: usize) -> BoxFuture<'_, Vec<SessionId>> {
        Box::pin(async move {
            loop {
                let due = self.shared.timers.due(self.shared.estimate(), OVERDUE_BATCH);
                if !due.is_empty() {
                    return due;
                }
                let earliest = async {
                    match self.shared.timers.earliest() {
                        Some(deadline) => self.shared.sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = earliest => {}
                    () = self.shared.timers.moved.notified() => {}
                }
            }
        })
    }

    fn postpone(&self, _: usize, id: SessionId, pause: Duration) {
        let now = self.shared.estimate();
        self.shared.timers.postpone(id, now, now + Millis::new(pause.as_millis() as u64));
    }

    fn running_clocks(&self) -> usize {
        self.shared.timers.len()
    }
}

impl RateLimiter for RedisShard {
    fn hit_rate_limit(&self, client: ClientAddress, rate: RateLimit) -> StoreFuture<'_, RateLimitStatus> {
        // What cannot be counted lets through, and then there must be time left for the request itself.
        let patience = self.shared.timeout / 10;
        Box::pin(reader::ask(&self.readers, patience, move |reply| Lookup::Count(client, rate, reply)))
    }
}

impl Backend for RedisShard {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(sweep::sweep(&self.shared))
    }

    fn unready_reason(&self) -> Option<String> {
        self.shared.missing()
    }
}
