//! The distributed store: sessions in Redis, shared with other instances. Divides them among the servers that keep
//! them; does not know how one of these is spoken to.

mod commit;
mod connection;
mod deadlines;
mod health;
mod jitter;
mod limits;
mod read;
mod record_policy;
mod replies;
mod revocations;
mod shard;
mod shard_tasks;
mod subscriptions;
mod time;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::client::ClientId;
use crate::clock::Clock;
use crate::engine::{SessionId, Timestamp};
use crate::readiness::Finding;
use crate::redis::{Keyspace, RedisServer, WakeUp};
use crate::runtime;
use crate::wire;

use super::arrival::Arrival;
use super::metrics::Metrics;
use super::{
    Backend, BoxFuture, Commit, CommitOutcome, Deadlines, Listener, PartitionClocks, PendingAudit, RateLimit,
    RateLimitStatus, RateLimiter, Read, SessionStore, StoreError, StoreFuture, Subscribed,
};
pub use commit::{CommitPolicy, QueueBudget};
pub use connection::StoreLocation;
use health::DEGRADATIONS;
pub use record_policy::{RecordFormat, RecordPolicy};
pub use revocations::RedisRevocations;
use shard::RedisShard;

/// Different causes of one kind that are named at most.
const SENTENCES_MAX: usize = 8;
/// How long to wait for a clock before another one is asked, too.
const CLOCK_PATIENCE: Duration = Duration::from_millis(25);

/// Sessions in Redis. Cloning shares the connections, which end with the last clone.
#[derive(Clone)]
pub struct RedisStore {
    server: RedisServer,
    keyspace: Keyspace,
    /// All of them, or one for each partition, in order.
    shards: Arc<[RedisShard]>,
    format: RecordFormat,
    /// The one whose clock answered last.
    answers: Arc<AtomicUsize>,
}

impl RedisStore {
    /// The store on servers that need not answer yet. Its tasks run until the last clone is dropped.
    pub fn new(
        clock: &Clock,
        location: StoreLocation,
        records: RecordPolicy,
        commits: CommitPolicy,
        listener: &Arc<dyn Listener>,
        metrics: &Metrics,
    ) -> Self {
        let log = Arc::default();
        let format = records.format.clone();
        let shard = |shard| {
            let (records, listener, metrics) = (records.clone(), Arc::clone(listener), metrics.clone());
            RedisShard::new(clock, shard, records, commits, listener, metrics, Arc::clone(&log))
        };
        let shards = location.shards().into_iter().map(shard).collect();
        Self { server: location.server, keyspace: location.keyspace, shards, format, answers: Arc::default() }
    }

    /// Of each queue of audit jobs, in the order of what keeps them, what is rung when some were put there.
    pub fn wake_ups(&self) -> Vec<WakeUp> {
        self.shards.iter().map(RedisShard::wake_up).collect()
    }

    /// How many shards say something of a kind, and what the first one says.
    fn of_all(&self, said: Vec<String>) -> Option<String> {
        let (count, all, first) = (said.len(), self.shards.len(), said.into_iter().next()?);
        Some(if all == 1 { first } else { format!("{count} of {all} partitions: {first}") })
    }

    fn of(&self, id: SessionId) -> &RedisShard {
        &self.shards[self.partition(id)]
    }

    /// The time of the first clock that answers. One after the other is asked, and none waits for those before it for
    /// long: the one that answered last goes first next time.
    async fn any_now(&self, near: Option<usize>) -> Result<Timestamp, StoreError> {
        let all = self.shards.len();
        let first = near.unwrap_or_else(|| self.answers.load(Ordering::Relaxed)) % all;
        let (mut asked, mut next) = (FuturesUnordered::new(), 0);
        let mut last = Err(StoreError::Unavailable("the store does not answer"));
        loop {
            if next < all {
                let place = (first + next) % all;
                asked.push(async move { (place, self.shards[place].now().await) });
                next += 1;
            }
            let patience = if next < all { CLOCK_PATIENCE } else { Duration::MAX };
            match runtime::time::timeout(patience, asked.next()).await {
                Ok(Some((place, Ok(now)))) => {
                    if near.is_none() {
                        self.answers.store(place, Ordering::Relaxed);
                    }
                    return Ok(now);
                }
                Ok(Some((_, failed))) => last = failed,
                Ok(None) if next >= all => return last,
                Ok(None) | Err(_) => {}
            }
        }
    }
}

impl PartitionClocks for RedisStore {
    fn partitions(&self) -> usize {
        self.shards.len()
    }

    fn partition(&self, id: SessionId) -> usize {
        match &*self.shards {
            [_] => 0,
            _ => self.keyspace.partition_index(id),
        }
    }

    fn now(&self, near: Option<usize>) -> StoreFuture<'_, Timestamp> {
        Box::pin(self.any_now(near))
    }

    fn now_of(&self, partition: usize) -> StoreFuture<'_, Timestamp> {
        Box::pin(self.shards[partition].now())
    }

    fn sleep_until(&self, partition: usize, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(self.shards[partition].sleep_until(at))
    }
}

impl SessionStore for RedisStore {
    fn arrive(&self, id: SessionId) -> Arrival {
        self.of(id).arrive(id)
    }

    fn read(&self, id: SessionId) -> StoreFuture<'_, Read> {
        Box::pin(self.of(id).read(id))
    }

    fn commit(&self, commit: Commit) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(self.of(commit.id).commit(commit))
    }

    fn keeps_time_controls(&self) -> bool {
        self.format.reads(wire::TIME_CONTROLS_FORMAT)
    }

    fn subscribe(&self, id: SessionId) -> StoreFuture<'_, Subscribed> {
        Box::pin(self.of(id).subscribe(id))
    }

    fn pending_audit(&self, id: SessionId) -> StoreFuture<'_, PendingAudit> {
        Box::pin(self.of(id).pending_audit(id))
    }
}

impl Deadlines for RedisStore {
    fn overdue(&self, partition: usize) -> BoxFuture<'_, Vec<SessionId>> {
        Box::pin(self.shards[partition].overdue())
    }

    fn postpone(&self, partition: usize, id: SessionId, pause: Duration) {
        self.shards[partition].postpone(id, pause);
    }

    fn running_clocks(&self) -> usize {
        self.shards.iter().map(RedisShard::running_clocks).sum()
    }
}

impl RateLimiter for RedisStore {
    fn hit_rate_limit(&self, client: ClientId, rate: RateLimit) -> StoreFuture<'_, RateLimitStatus> {
        // Every instance must come to the same shard: this hasher has no seed.
        let mut hasher = DefaultHasher::new();
        client.hash(&mut hasher);
        Box::pin(self.shards[hasher.finish() as usize % self.shards.len()].hit_rate_limit(client, rate))
    }
}

impl Backend for RedisStore {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut runs: FuturesUnordered<_> = self.shards.iter().map(RedisShard::run).collect();
            tokio::select! {
                biased;
                // One that is of no use any more is a fault of all.
                _ = runs.next() => {}
                () = self.server.follow() => {}
            }
        })
    }

    /// All shards are named together: first what keeps them from serving, then what else does not work.
    fn health(&self) -> Vec<Finding> {
        let unready: Vec<_> = self.shards.iter().filter_map(RedisShard::unready_reason).collect();
        if unready.len() == self.shards.len() {
            return distinct(unready).into_iter().map(Finding::NotReady).collect();
        }
        let serving = || self.shards.iter().filter(|shard| shard.unready_reason().is_none());
        let mut degraded: Vec<_> = self.of_all(unready).into_iter().collect();
        for kind in 0..DEGRADATIONS {
            let shards = serving().map(|shard| shard.degradations());
            degraded.extend(self.of_all(shards.filter_map(|mut all| all[kind].take()).collect()));
        }
        degraded.extend(distinct(serving().filter_map(RedisShard::step_report).collect()));
        degraded.into_iter().map(Finding::Degraded).collect()
    }
}

/// Each sentence once, and a few at most.
fn distinct(mut sentences: Vec<String>) -> Vec<String> {
    sentences.sort_unstable();
    sentences.dedup();
    sentences.truncate(SENTENCES_MAX);
    sentences
}
