//! The contract between the sessions and whatever keeps them. Each backend fulfils it; `conformance` in
//! the tests holds them to it. Does not know what a command is: it is handed a function that decides.
//!
//! What a backend promises:
//!
//! - **One change at a time.** The decisions on one session are made one after the other, each on the
//!   state that the one before left behind, over all instances. A decision may be asked for again when
//!   another instance was faster, so it must depend on nothing but what it is shown. Several changes of
//!   one session may be committed as one group; each still has its version.
//! - **What commits together.** The state, its lifetime, its deadline, its audit entry and its update are committed
//!   together or not at all. When [`Store::commit`] returns `Ok`, they are as durable as the backend ever
//!   makes them; it may wait for that. Nothing is answered before.
//! - **Optimistic locking.** A state that changed between a decision and its commit is no conflict of the caller's: the
//!   store asks for the decision again, on the new state, a few times with jitter. Whether the caller's belief about the
//!   state holds, and whether a refusal is owed to a change that the caller could not know
//!   ([`DecisionContext::changed_since_arrival`]), is for the decision to say.
//! - **In-doubt commits.** [`StoreError::Unavailable`] means that nothing was changed. A commit whose outcome stays in
//!   doubt is [`StoreError::UnknownOutcome`], and is never made twice.
//! - **What a watcher sees.** After [`Store::watch`] has returned, every change that is not in the state
//!   it returned is handed to the [`Listener`], or overtaken by a newer one. A listener sees the states of
//!   one session in the order of their tags. What a change tells beside its state comes right after it.
//! - **Time.** Instants are those of the server clock: each partition ([`Store::partition`]) has one, and its sessions go
//!   by no other. A command is judged at its arrival, but never before the session's last change and never after now. A deadline counts as passed for nobody before every
//!   command of this instance that arrived before it has been judged.
//! - **Deletion.** A deleted session leaves a tombstone for a while, so that an id that comes back gets a
//!   higher epoch.
//! - **Lifetime.** A session that was not written for its [`Record::lifetime`] is gone.
//! - **Room.** What does not fit is refused with [`StoreError::Unavailable`], new sessions before changes of those that
//!   there are; nothing is dropped before its lifetime is over.

mod archive;
mod arrival;
mod budget;
pub mod file;
mod lifetime;
mod rate_limit;
pub mod memory;
mod metrics;
mod ids;
mod record;
pub mod redis;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::error;

use crate::client_address::ClientAddress;
use crate::engine::{ChangeRecord, Outcome, Refusal, Session, SessionId, StateTag, Timestamp, Warning};
use crate::supervision::{Supervisor, panic_point};

pub use archive::{Archive, Archived, Change, Changes, Room};
pub use arrival::{Arrival, Arrivals};
pub use budget::{BytesBudget, Held};
pub use lifetime::Lifetimes;
pub use metrics::{Bound, Metrics};
pub use record::{Record, Snapshot};

/// What a call to a store comes to.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What comes by itself, some time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps sessions.
pub trait Store: Send + Sync {
    /// The time of anybody's clock that answers, asked afresh; of the one that a partition's sessions go by, if it does soon.
    fn now(&self, near: Option<usize>) -> StoreFuture<'_, Timestamp>;

    /// The time of the clock that a partition's sessions go by, asked afresh.
    fn now_of(&self, partition: usize) -> StoreFuture<'_, Timestamp>;

    /// The partition that a session belongs to.
    fn partition(&self, id: SessionId) -> usize;

    /// Takes down that a command arrived. Held until it is judged.
    fn arrive(&self, id: SessionId) -> Arrival;

    /// The state as it is stored: time may have passed its deadline.
    fn read(&self, id: SessionId) -> StoreFuture<'_, Read>;

    /// Lets `commit` decide on the session's present state and commits what it decides.
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed>;

    /// Subscribes to a session, which need not exist. The listener hears of it until the watch is dropped.
    fn watch(&self, id: SessionId) -> StoreFuture<'_, Subscribed>;

    /// Waits until the time that a partition's sessions go by is `at`, not less.
    fn sleep_until(&self, partition: usize, at: Timestamp) -> BoxFuture<'_, ()>;

    /// How many partitions there are, each of which has a clock of its own and may be away while others are not.
    fn partitions(&self) -> usize;

    /// Waits until deadlines of a partition have passed; returns whose. The same session is returned again as long as
    /// nothing is committed.
    fn overdue(&self, partition: usize) -> BoxFuture<'_, Vec<SessionId>>;

    /// Lets a session of a partition not be named as overdue for a while, unless something is committed.
    fn postpone(&self, partition: usize, id: SessionId, pause: Duration);

    /// What of a session is on its way to the archive.
    fn queued(&self, id: SessionId) -> StoreFuture<'_, PendingAudit>;

    /// How many sessions have a running clock, as far as this instance knows.
    fn running_clocks(&self) -> usize;

    /// Counts one more request of a client.
    fn hit_rate_limit(&self, client: ClientAddress, rate: RateLimit) -> StoreFuture<'_, RateLimitStatus>;

    /// The store's own upkeep; runs until it is dropped. It ends by itself when the store cannot be used and waiting
    /// does not help.
    fn run(&self) -> BoxFuture<'_, ()>;

    /// What is missing before requests can be served; `None` when nothing is.
    fn unready_reason(&self) -> Option<String>;
}

/// A state as it was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// The state; `None` when there is no such session.
    pub snapshot: Option<Snapshot>,
    /// Whether that is because it was deleted, as far as is remembered.
    pub is_buried: bool,
    /// The server clock's time at reading.
    pub now: Timestamp,
}

/// Changes that are on their way to the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingAudit {
    /// The newest change, if it is among them.
    pub newest: Option<StateTag>,
    /// There are older ones that may come after newer ones.
    pub has_stragglers: bool,
}

/// A decision to be made and committed.
pub struct Commit {
    /// Whose state.
    pub id: SessionId,
    /// When the command arrived; `None` for what nobody asked for: it is judged now.
    pub arrival: Option<Arrival>,
    /// A limit on how often this may be asked of the session; counted before it is looked up. What is refused gives its
    /// count back, as long as the same window stands.
    pub rate: Option<RateLimit>,
    /// Who asks, if what is refused counts against somebody ([`REFUSALS`]).
    pub client: Option<ClientAddress>,
    /// Makes the decision. May be called more than once.
    pub decide: Box<dyn FnMut(DecisionContext<'_>) -> Decision + Send>,
}

impl Commit {
    /// Makes the decision. When it panics the command alone is refused: nothing is changed by it.
    fn judge(&mut self, current: DecisionContext<'_>, supervisor: &Supervisor) -> Result<Decision, StoreError> {
        let (id, decide) = (self.id, &mut self.decide);
        let judge = move || {
            panic_point("decision", id);
            decide(current)
        };
        supervisor.guard("decision", judge).map_err(|_| {
            error!(session = %id, "a decision met a fault of ours: nothing was changed");
            StoreError::Fault
        })
    }
}

/// What a decision is based on.
#[derive(Clone, Copy, Debug)]
pub struct DecisionContext<'a> {
    /// The state; `None` when there is no such session.
    pub record: Option<&'a Arc<Record>>,
    /// The epoch of the next state: the session's, or, of a session that is to be created, the least one
    /// that the id has not had yet. A store that may have forgotten states begins a new one.
    pub epoch: u64,
    /// The instant at which the command is judged.
    pub at: Timestamp,
    /// The server clock's time.
    pub now: Timestamp,
    /// Whether the state was committed after the command arrived, so that its sender could not know it.
    pub changed_since_arrival: bool,
    /// Something is stored that is no state: there is no session, but what is stored may take its place, or go.
    pub is_unreadable: bool,
}

/// What is to be committed, and the answer once it is.
#[derive(Debug)]
pub struct Decision {
    /// The change.
    pub write: Mutation,
    /// The answer.
    pub verdict: Verdict,
}

/// The answer to a command.
pub type Verdict = Result<Outcome, Refusal>;

/// A change.
#[derive(Debug)]
pub enum Mutation {
    /// None.
    Nothing,
    /// What is stored is no state, and goes.
    Discard,
    /// A new state.
    Put {
        /// The state.
        record: Arc<Record>,
        /// Messages that go to the session's clients after it.
        notices: Vec<Bytes>,
        /// What is written into the audit.
        entry: ChangeRecord,
    },
    /// The end.
    Delete {
        /// What the deletion is called among the session's states.
        tag: StateTag,
        /// The message that tells the session's clients.
        notice: Bytes,
        /// The state that it ends, as it is written into the audit.
        last: Arc<Record>,
        /// What is written into the audit.
        entry: ChangeRecord,
    },
}

/// What was committed.
#[derive(Debug)]
pub struct Committed {
    /// The state afterwards; `None` when there is no such session.
    pub record: Option<Arc<Record>>,
    /// The answer; `None` when a limit was reached.
    pub verdict: Option<Verdict>,
    /// Where the limit stands, when there was one.
    pub quota: Option<RateLimitStatus>,
    /// The server clock's time.
    pub now: Timestamp,
}

/// A session that is being watched.
#[derive(Debug)]
pub struct Subscribed {
    /// The state when the watch began.
    pub snapshot: Option<Snapshot>,
    /// When clients are to be warned, if nothing happens before.
    pub countdown: Countdown,
    /// The server clock's time then.
    pub now: Timestamp,
    /// Ends the watch when dropped.
    pub watch: Subscription,
}

/// Runs something when dropped: the end of a watch.
pub struct Subscription(Option<Box<dyn FnOnce() + Send>>);

impl Subscription {
    /// A watch that ends with `end`.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription")
    }
}

/// Hears of changes to watched sessions. Called in order while the store holds the session: it must not
/// wait, nor call the store.
pub trait Listener: Send + Sync {
    /// A watched session changed.
    fn update(&self, id: SessionId, update: &Update);
}

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Update {
    /// A new state.
    State {
        /// Which.
        tag: StateTag,
        /// The message that carries it.
        frame: Bytes,
        /// When clients are to be warned, if nothing happens before.
        countdown: Countdown,
    },
    /// The present state after the store may have forgotten newer ones: it counts although it may be older than
    /// what was heard before.
    Resync {
        /// Which.
        tag: StateTag,
        /// The message that carries it.
        frame: Bytes,
        /// When clients are to be warned, if nothing happens before.
        countdown: Countdown,
    },
    /// A message that belongs to the state before it, or to none.
    Notice(Bytes),
    /// The session was deleted.
    Deleted {
        /// What the deletion is called among the session's states.
        tag: StateTag,
        /// The message that says so.
        frame: Bytes,
    },
    /// Updates cannot be heard, and nobody knows for how long: whoever watches should do so elsewhere.
    Interrupted,
}

/// When the running clock passes what clients want to be warned of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Countdown {
    /// When the state was made.
    pub made_at: Timestamp,
    /// Soonest first.
    pub warnings: Vec<Warning>,
    /// When the clock flags.
    pub deadline: Option<Timestamp>,
}

impl Countdown {
    /// The running clock's of a session.
    pub fn of(session: &Session) -> Self {
        Self { made_at: session.updated_at, warnings: session.warnings(), deadline: session.deadline() }
    }
}

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many times in a window.
    pub max: u32,
    /// The window's length in seconds; it begins with the first hit.
    pub window_s: u32,
}

/// How often one client may be refused what one session limits; what it is refused beyond that is said to be too much.
pub const REFUSALS: RateLimit = RateLimit { max: 10, window_s: 1 };

/// Where a limit stands after a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// What was allowed.
    pub rate: RateLimit,
    /// Hits in this window, this one included.
    pub hits: u32,
    /// Whole seconds until the window ends, rounded up.
    pub reset_s: u32,
}

impl RateLimitStatus {
    /// Whether this hit was one too many.
    pub fn is_exceeded(&self) -> bool {
        self.hits > self.rate.max
    }

    /// After the hit was given back.
    pub fn given_back(self) -> Self {
        Self { hits: self.hits.saturating_sub(1), ..self }
    }

    /// Hits that are left in this window.
    pub fn remaining(&self) -> u32 {
        self.rate.max.saturating_sub(self.hits)
    }
}

/// Why a store cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Not now, and nothing was changed: a retry may help.
    Unavailable(&'static str),
    /// The change may or may not have been made.
    UnknownOutcome,
    /// What is stored is no state.
    Unreadable,
    /// What is stored was written by a newer server, in a form that is not known here.
    Newer,
    /// The store did something in part.
    Broken,
    /// The decision met a fault of ours, and nothing was changed.
    Fault,
}
