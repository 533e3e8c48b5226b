//! The way of every change: load, settle, apply, encode, commit. The only place where the engine, the wire
//! and a store meet. Does not know who asks, or over which protocol.

mod askers;
mod history;
mod decide;
mod recovery;
mod request;

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use crate::client_address::ClientAddress;
use crate::engine::{Command, NewSession, OnTimeout, Outcome, Refusal, SessionId, Timestamp};
use crate::store::{
    Arrival, Backend, BoxFuture, Commit, CommitOutcome, Committed, Countdown, DecisionContext, PendingAudit, RateLimit,
    RateLimitStatus, Read, Record, Room, Snapshot, StoreError, Subscribed,
};
use crate::wire::Cursor;

use history::Readers;

pub use history::Page;
pub use recovery::{Found, Purpose, Recovery, RecoveryOptions};
pub use request::CommandRequest;

/// How soon to look again whether what was on its way is written.
const ERASE_PAUSE: Duration = Duration::from_millis(20);

const ON_THE_WAY: StoreError =
    StoreError::Unavailable("the session is deleted; its history is forgotten when this is asked again a little later");

/// All sessions of a store. Cloning shares them.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
    /// Who asks, if it is a client.
    client: Option<ClientAddress>,
}

#[derive(Clone)]
struct Shared {
    store: Arc<dyn Backend>,
    rates: RateLimits,
    default_on_timeout: OnTimeout,
    /// Where sessions come back from that the store does not have.
    recovery: Option<Arc<Recovery>>,
    readers: Readers,
}

/// How often things may be asked; `None` is without limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimits {
    /// Switches of one session.
    pub switch: Option<RateLimit>,
    /// Requests of one client.
    pub general: Option<RateLimit>,
}

/// What came of a request.
#[derive(Debug)]
pub struct CommandReply {
    /// The session as it is now, or why the request was not carried out.
    pub result: Result<Applied, Failure>,
    /// Where the request's own limit stands, if it has one.
    pub quota: Option<RateLimitStatus>,
}

impl CommandReply {
    fn of(id: SessionId, outcome: Result<CommitOutcome, StoreError>) -> Self {
        match outcome {
            Ok(CommitOutcome::Decided(Committed { record, verdict, quota, now, .. })) => {
                let result = match verdict {
                    Ok(outcome) => Ok(Applied { record, outcome, now }),
                    Err(refusal) => Err(Failure::Refused(id, refusal)),
                };
                Self { result, quota }
            }
            Ok(CommitOutcome::RateLimited(quota)) => Self { result: Err(Failure::Limited(quota)), quota: Some(quota) },
            Err(error) => Self { result: Err(Failure::Store(error)), quota: None },
        }
    }

    fn is_unreadable(&self) -> bool {
        matches!(self.result, Err(Failure::Store(StoreError::Unreadable)))
    }
}

/// A session that was read.
#[derive(Debug)]
pub struct SessionView {
    /// The state.
    pub snapshot: Snapshot,
    /// The authority's time.
    pub now: Timestamp,
    /// Time has done something that is shown and could not be written down: the tag names the state before it.
    pub is_unsaved: bool,
}

/// A request that was carried out.
#[derive(Debug)]
pub struct Applied {
    /// The state; `None` after a deletion.
    pub record: Option<Arc<Record>>,
    /// What else is to be told.
    pub outcome: Outcome,
    /// The authority's time.
    pub now: Timestamp,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub enum Failure {
    /// The session does not allow it.
    Refused(SessionId, Refusal),
    /// Its limit is reached.
    Limited(RateLimitStatus),
    /// The store cannot answer.
    Store(StoreError),
    /// Nobody writes down what happens.
    NoHistory,
}

impl Sessions {
    /// The sessions of `store`.
    pub fn new(store: Arc<dyn Backend>, rates: RateLimits) -> Self {
        let (default_on_timeout, readers) = (OnTimeout::default(), Readers::default());
        let shared = Shared { store, rates, default_on_timeout, recovery: None, readers };
        Self { shared: Arc::new(shared), client: None }
    }

    fn with(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        change(&mut shared);
        Self { shared: Arc::new(shared), ..self }
    }

    /// With what a flag does in sessions whose creator does not say.
    pub fn with_default_on_timeout(self, default_on_timeout: OnTimeout) -> Self {
        self.with(|shared| shared.default_on_timeout = default_on_timeout)
    }

    /// What a flag does in sessions whose creator does not say.
    pub fn default_on_timeout(&self) -> OnTimeout {
        self.shared.default_on_timeout
    }

    /// With an archive behind the store.
    pub fn with_recovery(self, recovery: Arc<Recovery>) -> Self {
        self.with(|shared| shared.recovery = Some(recovery))
    }

    /// Whether it is this client that asks.
    pub fn is_asked_by(&self, client: ClientAddress) -> bool {
        self.client == Some(client)
    }

    /// The same sessions, as a client asks for them.
    pub fn asked_by(&self, client: ClientAddress) -> Self {
        Self { client: Some(client), ..self.clone() }
    }

    /// The time, asked afresh, of whichever clock answers.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        self.shared.store.now(None).await
    }

    /// The same, of the clock that a session goes by if that answers soon.
    pub async fn now_near(&self, id: SessionId) -> Result<Timestamp, StoreError> {
        self.shared.store.now(Some(self.shared.store.partition(id))).await
    }

    /// The time that the sessions of a partition go by, asked afresh.
    pub async fn now_of(&self, partition: usize) -> Result<Timestamp, StoreError> {
        self.shared.store.now_of(partition).await
    }

    /// The partition of what is kept that a session belongs to.
    pub fn partition(&self, id: SessionId) -> usize {
        self.shared.store.partition(id)
    }

    /// Takes down that a command for a session arrived: when its last byte was read.
    pub fn arrive(&self, id: SessionId) -> Arrival {
        self.shared.store.arrive(id)
    }

    /// Counts one more request of a client; `None` when there is no limit.
    pub async fn hit_rate_limit(&self, client: ClientAddress) -> Result<Option<RateLimitStatus>, StoreError> {
        match self.shared.rates.general {
            Some(rate) => self.shared.store.hit_rate_limit(client, rate).await.map(Some),
            None => Ok(None),
        }
    }

    /// The session as it is now.
    pub async fn read(&self, id: SessionId) -> Result<SessionView, Failure> {
        let (mut read, is_unreadable) = match self.shared.store.read(id).await {
            Err(StoreError::Unreadable) if self.shared.recovery.is_some() => {
                let now = self.shared.store.now_of(self.shared.store.partition(id)).await.map_err(Failure::Store)?;
                (Read { snapshot: None, is_tombstoned: false, now }, true)
            }
            read => (read.map_err(Failure::Store)?, false),
        };
        if read.snapshot.is_none() && !read.is_tombstoned {
            match self.look_for(id, Purpose::Read).await? {
                Found::Back => read = self.shared.store.read(id).await.map_err(Failure::Store)?,
                Found::Over(snapshot) => return Ok(SessionView { snapshot, now: read.now, is_unsaved: false }),
                Found::Nothing if is_unreadable => return Err(Failure::Store(StoreError::Unreadable)),
                Found::Nothing => {}
            }
        }
        let Read { snapshot, now, .. } = read;
        let snapshot = snapshot.ok_or(Failure::Refused(id, Refusal::NotFound))?;
        if !snapshot.is_overdue(now) {
            return Ok(SessionView { snapshot, now, is_unsaved: false });
        }
        self.settled(id, snapshot, now).await
    }

    /// A session that time has done something to: that becomes the state, or is shown alone where nothing can be changed.
    async fn settled(&self, id: SessionId, snapshot: Snapshot, now: Timestamp) -> Result<SessionView, Failure> {
        match self.settle(id).await {
            Ok(Applied { record, now, .. }) => {
                let record = record.ok_or(Failure::Refused(id, Refusal::NotFound))?;
                Ok(SessionView { snapshot: record.snapshot(), now, is_unsaved: false })
            }
            Err(Failure::Store(StoreError::Unavailable(_) | StoreError::UnknownOutcome)) => {
                let session = snapshot.session().map_err(|_| Failure::Store(StoreError::Unreadable))?;
                let snapshot = decide::settled(&session, now).snapshot();
                Ok(SessionView { snapshot, now, is_unsaved: true })
            }
            Err(failure @ (Failure::Refused(..) | Failure::Limited(_) | Failure::Store(_) | Failure::NoHistory)) => {
                Err(failure)
            }
        }
    }

    /// Lets what time has done become the state.
    pub async fn settle(&self, id: SessionId) -> Result<Applied, Failure> {
        self.ask(id, None, None, CommandRequest::from(Command::Settle)).await.result
    }

    /// The same, of a session whose deadline has passed: what the store has dropped before anybody settled it comes back for
    /// that, and what cannot be looked for yet stays due.
    pub async fn fire(&self, id: SessionId) -> Result<Applied, Failure> {
        if self.shared.recovery.is_none() {
            return self.settle(id).await;
        }
        let request = CommandRequest::from(Command::Settle);
        let decide = move |current: DecisionContext<'_>| {
            // Of a session that was deleted the next epoch is known. A session that is unknown stays due.
            match current.record.is_none() && current.epoch == 0 {
                true => decide::nothing(Ok(Outcome::default())),
                false => decide::change(id, &request, &current),
            }
        };
        let commit = Commit { id, arrival: None, rate: None, client: None, decide: Box::new(decide) };
        let outcome = self.shared.store.commit(commit).await;
        if is_unknown(&outcome) {
            self.look_for(id, Purpose::Fire).await?;
            // What the archive does not have either is not due any more.
            return self.settle(id).await;
        }
        CommandReply::of(id, outcome).result
    }

    /// Begins a session.
    pub async fn create(&self, arrival: Arrival, new: NewSession) -> Result<Applied, Failure> {
        let id = new.id;
        let decide = move |current: DecisionContext<'_>| decide::create(&new, &current);
        self.commit(Commit { id, arrival: Some(arrival), rate: None, client: None, decide: Box::new(decide) })
            .await
            .result
    }

    /// Asks for a change.
    pub async fn change(&self, id: SessionId, arrival: Arrival, request: CommandRequest) -> CommandReply {
        let rate = match request.command {
            Command::Switch { .. } => self.shared.rates.switch,
            Command::Settle
            | Command::Start
            | Command::Pause
            | Command::Resume
            | Command::Complete
            | Command::Cancel
            | Command::Patch(_)
            | Command::Delete => None,
        };
        if self.shared.recovery.is_none() {
            return self.ask(id, Some(arrival), rate, request).await;
        }
        let client = request.client;
        // It is applied again if the store knows nothing of the session.
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        let decide = move |current: DecisionContext<'_>| match current.is_unreadable {
            // The archive is asked before it is deleted.
            true => decide::nothing(Err(Refusal::NotFound)),
            false => decide::change(id, &asked, &current),
        };
        let commit = Commit { id, arrival: Some(arrival), rate, client, decide: Box::new(decide) };
        let outcome = self.shared.store.commit(commit).await;
        let is_missing = is_unknown(&outcome) || matches!(outcome, Err(StoreError::Unreadable));
        let reply = CommandReply::of(id, outcome);
        if !is_missing {
            return reply;
        }
        match self.look_for(id, Purpose::Change).await {
            Ok(Found::Back) => {
                // What was refused gave its count back.
                self.ask(id, Some(self.arrive(id)), rate, request).await
            }
            // What nobody can read, and nobody knows from elsewhere, can go.
            Ok(_) if reply.is_unreadable() && matches!(request.command, Command::Delete) => {
                let again = self.ask(id, Some(self.arrive(id)), None, request).await;
                CommandReply { quota: reply.quota, ..again }
            }
            Ok(Found::Nothing | Found::Over(_)) => reply,
            Err(failure) => CommandReply { result: Err(failure), quota: reply.quota },
        }
    }

    /// What there is of a session that the store does not have.
    async fn look_for(&self, id: SessionId, purpose: Purpose) -> Result<Found, Failure> {
        match &self.shared.recovery {
            Some(recovery) => recovery.look_for(id, purpose, self.client).await.map_err(Failure::Store),
            None => Ok(Found::Nothing),
        }
    }

    /// Subscribes to a session, which need not exist, and shows it as it is now.
    pub async fn subscribe(&self, id: SessionId) -> Result<Subscribed, Failure> {
        let mut watched = match self.shared.store.subscribe(id).await {
            Err(StoreError::Unreadable) if matches!(self.look_for(id, Purpose::Read).await?, Found::Back) => {
                self.shared.store.subscribe(id).await
            }
            watched => watched,
        }
        .map_err(Failure::Store)?;
        if watched.snapshot.is_none() {
            match self.look_for(id, Purpose::Read).await? {
                Found::Back => {
                    let Read { snapshot, now, .. } = self.shared.store.read(id).await.map_err(Failure::Store)?;
                    let countdown = snapshot.as_ref().map(|snapshot| snapshot.countdown()).unwrap_or_default();
                    watched = Subscribed { snapshot, countdown, now, ..watched };
                }
                Found::Over(snapshot) => return Ok(Subscribed { snapshot: Some(snapshot), ..watched }),
                Found::Nothing => {}
            }
        }
        let Some(snapshot) = watched.snapshot.take_if(|snapshot| snapshot.is_overdue(watched.now)) else {
            return Ok(watched);
        };
        match self.settled(id, snapshot, watched.now).await {
            Ok(SessionView { snapshot, now, .. }) => {
                Ok(Subscribed { countdown: snapshot.countdown(), snapshot: Some(snapshot), now, ..watched })
            }
            Err(Failure::Refused(..)) => Ok(Subscribed { countdown: Countdown::default(), ..watched }),
            Err(failure @ (Failure::Limited(_) | Failure::Store(_) | Failure::NoHistory)) => Err(failure),
        }
    }

    /// What is written down of a session, after a change of it, `limit` changes at most.
    pub async fn history(&self, id: SessionId, after: Option<Cursor>, limit: usize) -> Result<Page, Failure> {
        let recovery = self.shared.recovery.as_ref().ok_or(Failure::NoHistory)?;
        let place = self.shared.readers.enter(recovery.patience()).await.map_err(Failure::Store)?;
        // In this order: what is not queued any more has been written.
        let queued = self.shared.store.pending_audit(id).await.map_err(Failure::Store)?;
        let room = Room { changes: limit, bytes: history::BYTES_MAX };
        let found = recovery.changes(id, after, room, self.client).await.map_err(Failure::Store)?;
        if found.changes.is_empty() && after.is_none() && queued.newest.is_none() {
            return Err(Failure::Refused(id, Refusal::NotFound));
        }
        Ok(Page::new(found, after, queued).within(place))
    }

    /// Forgets all that is written down of a session, once what is on its way has been.
    pub async fn erase(&self, id: SessionId) -> Result<(), Failure> {
        let recovery = self.shared.recovery.as_ref().ok_or(Failure::NoHistory)?;
        let written = async {
            loop {
                match self.shared.store.pending_audit(id).await {
                    Ok(queued) if queued == PendingAudit::default() => return Ok(()),
                    Ok(_) => tokio::time::sleep(ERASE_PAUSE).await,
                    Err(error) => return Err(error),
                }
            }
        };
        let written = tokio::time::timeout(recovery.patience(), written).await;
        written.map_err(|_| ON_THE_WAY).flatten().map_err(Failure::Store)?;
        recovery.archive().erase(id).await.map(|_| ()).map_err(Failure::Store)
    }

    /// How many partitions of what is kept may be away while others are not.
    pub fn partitions(&self) -> usize {
        self.shared.store.partitions()
    }

    /// Waits until deadlines of a partition have passed; returns whose.
    pub fn overdue(&self, partition: usize) -> BoxFuture<'_, Vec<SessionId>> {
        self.shared.store.overdue(partition)
    }

    /// Lets a session of a partition not be named as overdue for a while, unless something is committed.
    pub fn postpone(&self, partition: usize, id: SessionId, pause: Duration) {
        self.shared.store.postpone(partition, id, pause);
    }

    /// Waits until the time that the sessions of a partition go by is `at`.
    pub fn sleep_until(&self, partition: usize, at: Timestamp) -> BoxFuture<'_, ()> {
        self.shared.store.sleep_until(partition, at)
    }

    /// How many sessions have a running clock, as far as this instance knows.
    pub fn running_clocks(&self) -> usize {
        self.shared.store.running_clocks()
    }

    async fn ask(
        &self,
        id: SessionId,
        arrival: Option<Arrival>,
        rate: Option<RateLimit>,
        request: impl Borrow<CommandRequest> + Send + 'static,
    ) -> CommandReply {
        let client = request.borrow().client;
        let decide = move |current: DecisionContext<'_>| decide::change(id, request.borrow(), &current);
        self.commit(Commit { id, arrival, rate, client, decide: Box::new(decide) }).await
    }

    async fn commit(&self, commit: Commit) -> CommandReply {
        let id = commit.id;
        CommandReply::of(id, self.shared.store.commit(commit).await)
    }
}

/// Whether the store knows nothing of the session that a decision was made on: the archive may.
fn is_unknown(outcome: &Result<CommitOutcome, StoreError>) -> bool {
    matches!(outcome, Ok(CommitOutcome::Decided(committed)) if committed.is_unknown())
}
