//! The contract between the sessions and the backends that keep them, a trait for each role: [`SessionStore`] reads and
//! changes sessions, [`PartitionClocks`] tells the time, [`Deadlines`] names the sessions whose clock has run out,
//! [`RateLimiter`] counts requests, and a [`Backend`] is all of them. `conformance` in the tests holds every backend to it.
//! Does not know what a command is: a backend calls a function that decides.
//!
//! What a backend promises:
//!
//! - **One change at a time.** The decisions on one session are made one after the other, each on the state that the one
//!   before it made, over all instances. A backend calls a decision again when another instance was faster, so that it
//!   depends on nothing but the [`DecisionContext`]. A backend may commit several changes of one session as a group; each
//!   has its own version.
//! - **What commits together.** The state, its lifetime, its deadline, its audit job and its update are committed together
//!   or not at all. [`SessionStore::commit`] returns `Ok` when they are as durable as the backend makes them. Nothing is
//!   answered before.
//! - **Optimistic locking.** A state that changed between a decision and its commit is no conflict of the caller's: the
//!   backend calls the decision again on the new state, a few times with jitter. The decision says whether the caller's
//!   belief about the state holds, and whether a refusal is due to a change that the caller could not know
//!   ([`DecisionContext::changed_since_arrival`]).
//! - **In-doubt commits.** [`StoreError::Unavailable`] means that nothing was changed. A commit whose outcome stays in
//!   doubt is [`StoreError::UnknownOutcome`], and is never made twice.
//! - **Subscriptions.** After [`SessionStore::subscribe`] has returned, the [`Listener`] is called with every change that
//!   is not in the returned state, or with a newer one. It sees the states of one session in the order of their tags. The
//!   notices of a change follow its state directly.
//! - **Time.** Instants are those of the server clock: each partition ([`PartitionClocks::partition`]) has one, and its
//!   sessions go by no other. A command is judged at its arrival, but never before the session's last change and never
//!   after now. No deadline counts as passed before every command of this instance that arrived before it has been judged.
//! - **Deletion.** A deleted session leaves a tombstone for a while, so that an id that is created again gets a higher
//!   epoch.
//! - **Lifetime.** A session that was not written for its [`Record::lifetime`](super::Record::lifetime) is removed.
//! - **Bounds.** What does not fit is refused with [`StoreError::Unavailable`], new sessions before changes of existing
//!   ones; no session is dropped before its lifetime is over.
//!
//! What a backend owes beside its traits:
//!
//! - **Decisions.** It finds out what a decision is shown with `DecisionBasis`, waits for the commands in flight before a
//!   passed deadline with [`Arrivals`](super::Arrivals), drops the [`Arrival`](super::Arrival) as soon as the command is
//!   judged, and calls the decision with `Commit::judge`, so that a panic harms that command alone.
//! - **Event ids.** It gives each committed change an id (UUID version 7, by the server clock), the same over all retries.
//!   A commit in doubt is recognised by it, and the archive writes each id once. What a command with a key does
//!   ([`CommandOrigin`]) has the key's; a session remembers its latest, its tombstone too, and the decision is shown
//!   whether the key's is among them ([`Repetition`]).
//! - **The listener.** It calls the [`Listener`] while it holds the session, after the change is committed or entered into
//!   the journal, and only for sessions that are subscribed to. When it may have lost updates it sends [`Update::Resync`];
//!   while it cannot receive them, [`Update::Interrupted`].
//! - **Metrics.** It counts in [`Metrics`](super::Metrics): how late the first change after a deadline is, bounds that
//!   refuse, and, where there is a network, conflicts, retries, unknown outcomes and round trips.
//! - **Tasks.** The supervisor in [`Metrics`](super::Metrics) keeps each of its tasks and restarts it after a panic;
//!   [`Backend::run`] ends only when the backend is of no use any more, and [`Backend::health`] says why.

mod archive;
mod backend;
mod commit;
mod deadlines;
mod decision_context;
mod error;
mod origin;
mod partition_clocks;
mod rate_limiter;
mod revocation_store;
mod session_store;
mod subscription;

pub use archive::{Archive, ArchivedChange, ArchivedChanges, ArchivedState, PageLimit};
pub use backend::Backend;
pub use commit::{Commit, CommitOutcome, Committed, Decision, Mutation, Verdict};
pub use deadlines::Deadlines;
pub use decision_context::DecisionContext;
pub(super) use decision_context::{ArrivedAt, CommittedAt, DecisionBasis, StoredSession};
pub use error::{BoxFuture, StoreError, StoreFuture};
pub use origin::{CommandKey, CommandOrigin, Repetition};
pub use partition_clocks::PartitionClocks;
pub(in crate::store) use rate_limiter::SwitchCounter;
pub use rate_limiter::{REFUSALS, RateLimit, RateLimitStatus, RateLimiter};
pub use revocation_store::{KeptRevocations, RevocationStore};
pub use session_store::{PendingAudit, Read, SessionStore};
pub use subscription::{Listener, Subscribed, Subscription, Update};
