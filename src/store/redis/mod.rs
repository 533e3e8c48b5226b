//! The distributed store: sessions in Redis, shared with other instances. Time is Redis's. Knows how
//! commands, reads and updates share connections; does not know what a session is beyond its record.

mod authority;
mod committer;
mod feed;
mod group;
mod jitter;
mod limits;
mod reader;
mod replies;
mod sweep;
mod timers;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use crate::clock::Clock;
use crate::engine::{Millis, SessionId, Timestamp};
use crate::redis::{Keyspace, Link, LinkError, Server};

use super::arrival::{Arrival, Arrivals};
use super::{Answer, Commit, Committed, Listener, Quota, Rate, Read, Store, StoreError, Wait, Watch, Watched};
use authority::Authority;
use committer::{Committer, Job};
use feed::{Ask, Feed};
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
    /// The last connection that was tried was made.
    connected: AtomicBool,
    /// A transaction was executed in part: nothing can be relied on any more.
    broken: AtomicBool,
}

impl RedisStore {
    /// The store on a server that need not answer yet. Its tasks run until the last clone is dropped.
    pub fn new(clock: Clock, options: Options, listener: Arc<dyn Listener>) -> Self {
        let Options { server, keyspace, timeout, tombstone_ttl } = options;
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
            tokio::spawn(reader::read(Arc::clone(&shared), inbox));
            sender
        });
        let (feed, inbox) = mpsc::unbounded_channel();
        let store = Self { committers: committers.collect(), readers: readers.collect(), feed, shared };
        tokio::spawn(Feed::new(Arc::clone(&store.shared), store.readers.clone(), inbox).run());
        store
    }
}

impl Store for RedisStore {
    fn now(&self) -> Answer<'_, Timestamp> {
        Box::pin(reader::ask(&self.readers, Lookup::Time))
    }

    fn arrive(&self, id: SessionId) -> Arrival {
        self.shared.arrivals.enter(id)
    }

    fn read(&self, id: SessionId) -> Answer<'_, Read> {
        Box::pin(reader::ask(&self.readers, move |reply| Lookup::State(id, reply)))
    }

    fn commit(&self, commit: Commit) -> Answer<'_, Committed> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let place = commit.id.0.bits() as usize % self.committers.len();
            let (event, expires) = (jitter::uuid(), self.shared.clock.moment() + self.shared.timeout);
            let job = Job { commit, event, expires, quota: None, attempt: None, reply };
            if self.committers[place].try_send(job).is_err() {
                return Err(StoreError::Unavailable("too many changes are waiting"));
            }
            answer.await.unwrap_or(Err(StoreError::UnknownOutcome))
        })
    }

    fn watch(&self, id: SessionId) -> Answer<'_, Watched> {
        Box::pin(async move {
            let (ready, stands) = oneshot::channel();
            const AWAY: StoreError = StoreError::Unavailable("updates are interrupted");
            self.feed.send(Ask::Watch(id, ready)).map_err(|_| StoreError::Unavailable("the server stops"))?;
            let standing = tokio::time::timeout(self.shared.timeout, stands).await;
            standing.map_err(|_| AWAY)?.map_err(|_| AWAY)?;
            let feed = self.feed.clone();
            let watch = Watch::new(move || {
                // The feed is gone when the store is.
                let _ = feed.send(Ask::Unwatch(id));
            });
            let Read { snapshot, now } = self.read(id).await?;
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

    fn active(&self) -> usize {
        self.shared.timers.len()
    }

    fn count(&self, client: IpAddr, rate: Rate) -> Answer<'_, Quota> {
        Box::pin(reader::ask(&self.readers, move |reply| Lookup::Count(client, rate, reply)))
    }

    fn upkeep(&self) -> Wait<'_, ()> {
        Box::pin(sweep::sweep(&self.shared))
    }

    fn missing(&self) -> Option<String> {
        if self.shared.broken.load(Ordering::Relaxed) {
            return Some("Redis executed a transaction in part".to_owned());
        }
        (!self.shared.connected.load(Ordering::Relaxed)).then(|| "Redis does not answer".to_owned())
    }
}

impl Shared {
    /// A connection; whether it could be made decides whether the server is ready.
    async fn connect(&self) -> Result<Link, LinkError> {
        let link = self.server.connect().await;
        let was = self.connected.swap(link.is_ok(), Ordering::Relaxed);
        match &link {
            Ok(_) if !was => info!("Redis answers"),
            Err(error) if was => error!(%error, "Redis does not answer any more"),
            Ok(_) | Err(_) => {}
        }
        link
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
