//! What makes the changes of the embedded store durable: nothing ([`Volatile`]), or a journal in a data directory. Does not
//! know how a change is decided.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::engine::{ChangeRecord, SessionId, StateTag, Timestamp, Uuid};

use super::contract::StoreError;
use crate::wire::EventIds;

use super::ids;
use super::record::Record;

/// Makes changes durable. The embedded store enters changes while it holds the session, and waits after it has let go.
pub trait Durability: Send + Sync + 'static {
    /// The promise that something becomes durable.
    type Ticket: Send;

    /// Enters a change, in the order of the session's changes; returns its number and a ticket. After an error nothing is
    /// entered.
    fn enter(
        &self,
        id: SessionId,
        change: impl FnOnce() -> DurableChange,
    ) -> Result<(u64, Option<Self::Ticket>), StoreError>;

    /// A ticket for all changes that are entered by now; `None` when the one of this number is durable.
    fn barrier(&self, number: u64) -> Result<Option<Self::Ticket>, StoreError>;

    /// Waits for a ticket, as long as an answer may take; returns whether it was honoured. It may yet be.
    fn wait(&self, ticket: Self::Ticket, is_change: bool) -> impl Future<Output = bool> + Send;

    /// Enters that a session is removed; its history stays. When this fails the next start removes the session.
    fn forget(&self, id: SessionId);

    /// Why nothing can be made durable now.
    fn fault(&self) -> Option<String>;

    /// What the last process's clock would show now, if this process's clock does not continue it. `newest` is the newest
    /// instant that is stored.
    fn lost_at(&self, now: Timestamp, newest: Timestamp) -> Option<Timestamp>;

    /// Records where `clock` stands while `has_deadlines`, for the next process. It ends when nothing can be made durable
    /// any more.
    fn run(&self, clock: &Clock, has_deadlines: impl Fn() -> bool + Send + Sync) -> impl Future<Output = ()> + Send;
}

/// No durability: the sessions end with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Volatile;

impl Durability for Volatile {
    type Ticket = Infallible;

    fn enter(&self, _: SessionId, _: impl FnOnce() -> DurableChange) -> Result<(u64, Option<Infallible>), StoreError> {
        Ok((0, None))
    }

    fn barrier(&self, _: u64) -> Result<Option<Infallible>, StoreError> {
        Ok(None)
    }

    async fn wait(&self, ticket: Infallible, _: bool) -> bool {
        match ticket {}
    }

    fn forget(&self, _: SessionId) {}

    fn fault(&self) -> Option<String> {
        None
    }

    fn lost_at(&self, _: Timestamp, _: Timestamp) -> Option<Timestamp> {
        None
    }

    async fn run(&self, _: &Clock, _: impl Fn() -> bool + Send + Sync) {
        std::future::pending().await
    }
}

/// The promise that something will be on the disk.
#[derive(Debug)]
pub struct DurabilityTicket(pub(super) oneshot::Receiver<()>);

/// A change that is to be made durable, whole in itself.
#[derive(Debug)]
pub struct DurableChange {
    /// Its event id in the audit.
    pub(super) event: Uuid,
    /// The state that it makes.
    pub(super) tag: StateTag,
    /// The state, or the one that was deleted.
    pub(super) record: Arc<Record>,
    /// What is left of the session.
    pub(super) leaves: Leaves,
    /// Events before it that have keys.
    pub(super) keyed: Option<Box<EventIds>>,
    /// What is written into the audit.
    pub(super) entry: ChangeRecord,
    /// Who asked for it.
    pub(super) actor: Option<Arc<str>>,
    /// When the session is removed.
    pub(super) expires: Timestamp,
}

/// What a change leaves of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// A state.
    State,
    /// A tombstone.
    Tombstone,
}

impl DurableChange {
    /// A new state.
    pub(super) fn put(record: &Arc<Record>, entry: ChangeRecord, expires: Timestamp) -> Self {
        let tag = record.session().tag();
        let (event, record, leaves) = (ids::uuid(entry.at), Arc::clone(record), Leaves::State);
        Self { event, tag, record, leaves, keyed: None, entry, actor: None, expires }
    }

    /// The deletion of a session.
    pub(super) fn delete(tag: StateTag, last: Arc<Record>, entry: ChangeRecord, expires: Timestamp) -> Self {
        let (event, record, leaves) = (ids::uuid(entry.at), last, Leaves::Tombstone);
        Self { event, tag, record, leaves, keyed: None, entry, actor: None, expires }
    }

    /// The same with an id that is given, if one is, after events that have keys.
    pub(super) fn called(self, event: Option<Uuid>, keyed: Option<&EventIds>) -> Self {
        Self { event: event.unwrap_or(self.event), keyed: keyed.map(|keyed| Box::new(keyed.clone())), ..self }
    }

    /// The same, which somebody asked for.
    pub(super) fn asked_by(self, actor: Option<Arc<str>>) -> Self {
        Self { actor, ..self }
    }
}
