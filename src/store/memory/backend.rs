//! The embedded backend: the roles of the contract, carried out by the store in this process. Does not know how a decision
//! is carried out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::ClientId;
use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp};
use crate::readiness::Finding;
use crate::store::arrival::Arrival;
use crate::store::contract::{
    Backend, BoxFuture, Commit, CommitOutcome, Deadlines, Listener, PartitionClocks, PendingAudit, RateLimit,
    RateLimitStatus, RateLimiter, Read, SessionStore, StoreFuture, Subscribed, Subscription,
};
use crate::store::durability::{Durability, Volatile};
use crate::store::file::{DataDir, Journaled};
use crate::store::metrics::Metrics;
use crate::store::stored_state::StoredState;

use super::commit::DecidedCommit;
use super::embedded::{EmbeddedStore, Limit};

/// Sessions in this process. Cloning shares them.
pub struct Memory<D: Durability = Volatile>(Arc<EmbeddedStore<D>>);

impl<D: Durability> Clone for Memory<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Memory {
    /// An empty store that calls `listener` with the changes of sessions that are subscribed to.
    pub fn new(clock: Clock, limit: Limit, listener: Arc<dyn Listener>, metrics: Metrics) -> Self {
        Self(Arc::new(EmbeddedStore::new(clock, limit, listener, metrics, Volatile)))
    }
}

impl Memory<Journaled> {
    /// A store of the sessions in `data`, whose changes are on the disk before they are acknowledged.
    ///
    /// # Errors
    ///
    /// When `data` cannot be read.
    pub fn open(
        clock: Clock,
        limit: Limit,
        listener: Arc<dyn Listener>,
        metrics: Metrics,
        data: &DataDir,
    ) -> io::Result<Self> {
        let store = EmbeddedStore::new(clock, limit, listener, metrics, data.durability());
        store.restore(data.restored()?);
        Ok(Self(Arc::new(store)))
    }
}

impl<D: Durability> PartitionClocks for Memory<D> {
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
        let now = self.0.clock.now();
        Box::pin(async move { Ok(now) })
    }

    fn sleep_until(&self, _: usize, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(self.0.clock.sleep_until(at))
    }
}

impl<D: Durability> SessionStore for Memory<D> {
    fn arrive(&self, id: SessionId) -> Arrival {
        self.0.arrivals.enter(id)
    }

    fn read(&self, id: SessionId) -> StoreFuture<'_, Read> {
        let now = self.0.clock.now();
        let shard = self.0.shard(id).lock();
        let state = shard.live_state(id, now);
        let (record, is_tombstoned) =
            (state.and_then(StoredState::record).cloned(), state.is_some_and(StoredState::is_tombstone));
        drop(shard);
        let snapshot = record.map(|record| record.snapshot());
        Box::pin(async move { Ok(Read { snapshot, is_tombstoned, now }) })
    }

    fn commit(&self, mut commit: Commit) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let counted = commit.rate.map(|rate| self.0.switches.enter(commit.counter(), rate, now));
            if let Some((quota, ends)) = counted.filter(|(quota, _)| quota.is_exceeded()) {
                self.0.switches.give_back(&commit.counter(), ends);
                return Ok(CommitOutcome::RateLimited(quota));
            }
            // A command that arrived before the deadline may be in flight: subscribe to its end before looking again.
            let mut left = None;
            loop {
                if let Some(DecidedCommit { committed, ticket, is_change }) = self.0.try_commit(&mut commit)? {
                    let outcome = match counted {
                        Some((quota, ends)) => self.0.counted(&commit, committed, quota, ends),
                        None => CommitOutcome::Decided(committed),
                    };
                    self.0.await_durability(ticket, is_change).await?;
                    return Ok(outcome);
                }
                match left.take() {
                    None => left = Some(self.0.arrivals.left(commit.id)),
                    Some(left) => left.await,
                }
            }
        })
    }

    fn subscribe(&self, id: SessionId) -> StoreFuture<'_, Subscribed> {
        let now = self.0.clock.now();
        let mut shard = self.0.shard(id).lock();
        *shard.subscribed.entry(id).or_insert(0) += 1;
        let record = shard.live_state(id, now).and_then(StoredState::record).cloned();
        drop(shard);
        let inner = Arc::clone(&self.0);
        let subscription = Subscription::new(move || inner.shard(id).lock().unsubscribe(id));
        let countdown = record.as_ref().map(|record| record.countdown()).unwrap_or_default();
        let snapshot = record.map(|record| record.snapshot());
        Box::pin(async move { Ok(Subscribed { snapshot, countdown, now, subscription }) })
    }

    fn pending_audit(&self, _: SessionId) -> StoreFuture<'_, PendingAudit> {
        Box::pin(async { Ok(PendingAudit::default()) })
    }
}

impl<D: Durability> Deadlines for Memory<D> {
    fn overdue(&self, _: usize) -> BoxFuture<'_, Vec<SessionId>> {
        Box::pin(async move {
            loop {
                let overdue = self.0.take_overdue();
                if !overdue.is_empty() {
                    return overdue;
                }
                let earliest = Timestamp::from_ms(self.0.alarm.earliest_ms.load(Ordering::Acquire));
                tokio::select! {
                    biased;
                    () = self.0.clock.sleep_until(earliest) => {}
                    () = self.0.alarm.moved.notified() => {}
                }
            }
        })
    }

    fn postpone(&self, _: usize, id: SessionId, pause: Duration) {
        let now = self.0.clock.now();
        let at = now + Millis::new(pause.as_millis() as u64);
        self.0.shard(id).lock().postpone(id, now, at);
        self.0.alarm.set(at);
    }

    fn running_clocks(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().deadlines.len()).sum()
    }
}

impl<D: Durability> RateLimiter for Memory<D> {
    fn hit_rate_limit(&self, client: ClientId, rate: RateLimit) -> StoreFuture<'_, RateLimitStatus> {
        let quota = self.0.requests.hit(client, rate, self.0.clock.now());
        Box::pin(async move { Ok(quota) })
    }
}

impl<D: Durability> Backend for Memory<D> {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tokio::select! {
                biased;
                () = self.0.sweep() => {}
                () = self.0.durability.run(&self.0.clock, || self.0.has_deadlines()) => {}
            }
        })
    }

    fn health(&self) -> Vec<Finding> {
        self.0.durability.fault().map(Finding::NotReady).into_iter().collect()
    }
}
