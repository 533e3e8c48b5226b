//! The distributed store: sessions in Redis, shared with other instances. Time is Redis's. Knows how
//! commands, reads and updates share connections; does not know what a session is beyond its record.

mod audit;
mod authority;
mod claim;
mod committer;
mod feed;
mod group;
mod history;
mod jitter;
mod job;
mod limits;
mod line;
mod reader;
mod replies;
mod slot;
mod sweep;
mod timers;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp};
use crate::redis::{self, Keyspace, Link, LinkError, Server, Unfit};

use super::arrival::{Arrival, Arrivals};
use super::metrics::Metrics;
use super::random;
use super::{Answer, Commit, Committed, Listener, Queued, Quota, Rate, Read, Store, StoreError, Wait, Watch, Watched};
pub use audit::Budget;
use authority::Authority;
use claim::Claim;
use committer::Committer;
use feed::{Ask, Feed};
use history::History;
use job::Job;
use reader::Lookup;
use timers::Timers;

/// Committers of an instance: sessions are divided among them.
const COMMITTERS: usize = 2;
/// Connections for reads.
const READERS: usize = 2;
/// Commands and reads that may wait for each connection; one more is refused.
const WAITING_MAX: usize = 4_096;
/// How long to sleep before looking at the authority's clock again.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// How many overdue sessions are handed out at once.
const OVERDUE_BATCH: usize = 1_024;

/// What the store can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where Redis is.
    pub server: Server,
    /// Names in it.
    pub keyspace: Keyspace,
    /// How long a command may wait.
    pub timeout: Duration,
    /// How long a deleted session is remembered.
    pub tombstone_ttl: Millis,
    /// How much may wait to be audited; `None` when changes are not.
    pub audit: Option<Budget>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Sessions in Redis. Cloning shares the connections, which end with the last clone.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
    committers: Arc<[mpsc::Sender<Job>]>,
    readers: Arc<[mpsc::Sender<Lookup>]>,
    feed: mpsc::UnboundedSender<Ask>,
}

/// What the store's tasks share.
struct Shared {
    clock: Clock,
    server: Server,
    keyspace: Keyspace,
    authority: Authority,
    arrivals: Arc<Arrivals>,
    listener: Arc<dyn Listener>,
    timers: Timers,
    tombstone_ttl: Millis,
    timeout: Duration,
    audit: Option<Budget>,
    history: History,
    metrics: Metrics,
    /// The run of the server that the last connection led to.
    run: AsyncMutex<Option<Arc<str>>>,
    /// Why the server cannot be used although it answers.
    unfit: Mutex<Option<Unfit>>,
    /// The last connection that was tried was made.
    connected: AtomicBool,
    /// The last transaction was refused.
    refused: AtomicBool,
    /// A transaction was executed in part: nothing can be relied on any more.
    broken: AtomicBool,
}

impl RedisStore {
    /// The store on a server that need not answer yet. Its tasks run until the last clone is dropped.
    pub fn new(clock: Clock, options: Options, listener: Arc<dyn Listener>) -> Self {
        let Options { server, keyspace, timeout, tombstone_ttl, audit, metrics } = options;
        let shared = Arc::new(Shared {
            authority: Authority::new(&clock),
            arrivals: Arrivals::new(clock.clone()),
            clock,
            server,
            keyspace,
            listener,
            timers: Timers::default(),
            tombstone_ttl,
            timeout,
            audit,
            history: History::default(),
            metrics,
            run: AsyncMutex::default(),
            unfit: Mutex::default(),
            refused: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        });
        let committers = (0..COMMITTERS).map(|_| {
            let (sender, inbox) = mpsc::channel(WAITING_MAX);
            tokio::spawn(Committer::new(Arc::clone(&shared), inbox).run());
            sender
        });
        let readers = (0..READERS).map(|_| {
            let (sender, inbox) = mpsc::channel(WAITING_MAX);
            tokio::spawn(reader::serve(Arc::clone(&shared), inbox));
            sender
        });
        let (feed, inbox) = mpsc::unbounded_channel();
        let store = Self { committers: committers.collect(), readers: readers.collect(), feed, shared };
        tokio::spawn(Feed::new(Arc::clone(&store.shared), store.readers.clone(), inbox).run());
        store
    }

    async fn ask<T>(&self, lookup: impl FnOnce(reader::Reply<T>) -> Lookup) -> Result<T, StoreError> {
        reader::ask(&self.readers, self.shared.patience(), lookup).await
    }
}

impl Store for RedisStore {
    fn now(&self) -> Answer<'_, Timestamp> {
        Box::pin(self.ask(Lookup::Time))
    }

    fn arrive(&self, id: SessionId) -> Arrival {
        self.shared.arrivals.enter(id)
    }

    fn read(&self, id: SessionId) -> Answer<'_, Read> {
        Box::pin(self.ask(move |reply| Lookup::State(id, reply)))
    }

    fn commit(&self, commit: Commit) -> Answer<'_, Committed> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let place = commit.id.0.bits() as usize % self.committers.len();
            let (event, claim) = (random::uuid(self.shared.clock.now()), Arc::new(Claim::default()));
            let expires = self.shared.clock.moment() + self.shared.patience();
            let given = Arc::clone(&claim);
            let job = Job { commit, event, expires, claim: given, quota: None, attempt: None, seen: None, reply };
            if self.committers[place].try_send(job).is_err() {
                return Err(StoreError::Unavailable("too many changes are waiting"));
            }
            let answered = match tokio::time::timeout(self.shared.patience(), answer).await {
                Ok(answered) => answered.unwrap_or(Err(StoreError::UnknownOutcome)),
                Err(_) if claim.withdraw() => Err(StoreError::Unavailable("the store does not answer in time")),
                Err(_) => Err(StoreError::UnknownOutcome),
            };
            if matches!(answered, Err(StoreError::UnknownOutcome)) {
                self.shared.metrics.unknown_outcome();
            }
            answered
        })
    }

    fn watch(&self, id: SessionId) -> Answer<'_, Watched> {
        Box::pin(async move {
            let (ready, stands) = oneshot::channel();
            const AWAY: StoreError = StoreError::Unavailable("updates are interrupted");
            self.feed.send(Ask::Watch(id, ready)).map_err(|_| StoreError::Unavailable("the server stops"))?;
            let standing = tokio::time::timeout(self.shared.patience(), stands).await;
            standing.map_err(|_| AWAY)?.map_err(|_| AWAY)?;
            let feed = self.feed.clone();
            let watch = Watch::new(move || {
                // The feed is gone when the store is.
                let _ = feed.send(Ask::Unwatch(id));
            });
            let Read { snapshot, now, .. } = self.read(id).await?;
            let countdown = snapshot.as_ref().map(|snapshot| snapshot.countdown()).unwrap_or_default();
            Ok(Watched { snapshot, countdown, now, watch })
        })
    }

    fn sleep_until(&self, at: Timestamp) -> Wait<'_, ()> {
        Box::pin(self.shared.sleep_until(at))
    }

    fn overdue(&self) -> Wait<'_, Vec<SessionId>> {
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

    fn queued(&self, id: SessionId) -> Answer<'_, Queued> {
        Box::pin(self.ask(move |reply| Lookup::Queued(id, reply)))
    }

    fn active(&self) -> usize {
        self.shared.timers.len()
    }

    fn count(&self, client: IpAddr, rate: Rate) -> Answer<'_, Quota> {
        // What cannot be counted lets through, and then there must be time left for the request itself.
        let patience = self.shared.timeout / 10;
        Box::pin(reader::ask(&self.readers, patience, move |reply| Lookup::Count(client, rate, reply)))
    }

    fn upkeep(&self) -> Wait<'_, ()> {
        Box::pin(sweep::sweep(&self.shared))
    }

    fn missing(&self) -> Option<String> {
        if self.shared.broken.load(Ordering::Relaxed) {
            return Some("Redis executed a transaction in part".to_owned());
        }
        if let Some(Unfit { why, .. }) = &*self.shared.unfit.lock() {
            return Some(why.clone());
        }
        (!self.shared.connected.load(Ordering::Relaxed)).then(|| "Redis does not answer".to_owned())
    }
}

impl Shared {
    /// How long somebody waits: a little less than their request may take, so that they can be told.
    fn patience(&self) -> Duration {
        self.timeout * 4 / 5
    }

    /// A connection; whether it could be made decides whether the server is ready.
    async fn connect(self: &Arc<Self>) -> Result<Link, LinkError> {
        let link = self.try_connect().await;
        let was = self.connected.swap(link.is_ok(), Ordering::Relaxed);
        match &link {
            Ok(_) if !was => info!("Redis answers"),
            Err(error) if was => warn!(%error, "Redis does not answer any more"),
            Ok(_) | Err(_) => {}
        }
        link
    }

    async fn try_connect(self: &Arc<Self>) -> Result<Link, LinkError> {
        let mut link = self.server.connect().await?;
        // Whoever comes second waits: nothing is committed to another run before what it may have forgotten is known.
        let mut run = self.run.lock().await;
        if run.as_ref() == Some(link.run_id()) {
            return Ok(link);
        }
        let unfit = redis::unfit(&mut link, &self.keyspace).await?;
        let is_new = unfit.is_some() && *self.unfit.lock() != unfit;
        self.unfit.lock().clone_from(&unfit);
        if let Some(Unfit { why, .. }) = unfit {
            if is_new {
                error!(why, "Redis cannot be used as it is");
            }
            return Err(LinkError::Refused(why));
        }
        if run.is_some() {
            history::compare(self, &mut link).await?;
        }
        *run = Some(Arc::clone(link.run_id()));
        Ok(link)
    }

    /// What this process was told is not so.
    fn is_misled(&self) -> bool {
        self.unfit.lock().as_ref().is_some_and(|unfit| unfit.is_lasting)
    }

    /// Takes down whether transactions are refused, and tells when that changes.
    fn refuses(&self, why: Option<&str>) {
        let was = self.refused.load(Ordering::Relaxed);
        if was != why.is_some() {
            self.refused.store(why.is_some(), Ordering::Relaxed);
            match why {
                Some(why) => warn!(why, "Redis refuses transactions"),
                None => info!("Redis takes transactions again"),
            }
        }
    }

    /// The authority's time, as far as it is known; nothing is due before the first reading.
    fn estimate(&self) -> Timestamp {
        let us = self.authority.estimate_us(self.clock.moment());
        Timestamp::from_ms(us.unwrap_or_default() / 1_000)
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let now_us = self.authority.estimate_us(self.clock.moment()).unwrap_or_default();
            let left_us = (at.as_ms() * 1_000).saturating_sub(now_us);
            if left_us == 0 {
                return;
            }
            // Not in one piece: what is known of the authority's clock gets better.
            tokio::time::sleep(Duration::from_micros(left_us).min(SLEEP_MAX)).await;
        }
    }
}
