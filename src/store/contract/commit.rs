//! A commit: a decision, the change that it makes, and the outcome. Does not know how a backend stores it.

use std::sync::Arc;

use bytes::Bytes;
use tracing::error;

use crate::client::ClientId;
use crate::engine::{ChangeRecord, Outcome, ParticipantId, Refusal, SessionId, StateTag, Timestamp};
use crate::store::arrival::Arrival;
use crate::store::record::Record;
use crate::supervision::{Supervisor, panic_point};

use super::decision_context::DecisionContext;
use super::error::StoreError;
use super::origin::CommandOrigin;
use super::rate_limiter::{RateLimit, RateLimitStatus, SwitchCounter};

/// A decision to be made and committed.
pub struct Commit {
    /// Whose state.
    pub id: SessionId,
    /// When the command arrived; `None` for what no client asked for: it is judged now.
    pub arrival: Option<Arrival>,
    /// A limit on how often this may be asked of the session; counted before the session is read. A refused command gives
    /// its count back while the same window lasts.
    pub rate: Option<RateLimit>,
    /// Whose commands it counts: one participant's, or those that are nobody's own.
    pub participant: Option<ParticipantId>,
    /// The client, if its refusals are counted ([`REFUSALS`](super::REFUSALS)).
    pub client: Option<ClientId>,
    /// Who sends it, and what they call it.
    pub origin: CommandOrigin,
    /// Makes the decision. A backend may call it more than once.
    pub decide: Box<dyn FnMut(DecisionContext<'_>) -> Decision + Send>,
}

impl Commit {
    /// What its limit counts.
    pub(in crate::store) fn counter(&self) -> SwitchCounter {
        SwitchCounter { id: self.id, participant: self.participant }
    }

    /// Makes the decision. When it panics this command alone fails, and changes nothing.
    pub(in crate::store) fn judge(
        &mut self,
        context: DecisionContext<'_>,
        supervisor: &Supervisor,
    ) -> Result<Decision, StoreError> {
        let (id, decide) = (self.id, &mut self.decide);
        let judge = move || {
            panic_point("decision", id);
            decide(context)
        };
        supervisor.guard("decision", judge).map_err(|_| {
            error!(session = %id, "a decision met a fault of ours: nothing was changed");
            StoreError::Fault
        })
    }
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
    /// The stored bytes are no state, and are removed.
    Discard,
    /// A new state.
    Put {
        /// The state.
        record: Arc<Record>,
        /// Messages to the session's subscribers that follow it.
        notices: Vec<Bytes>,
        /// What is written into the audit.
        entry: ChangeRecord,
    },
    /// The deletion of the session.
    Delete {
        /// The tag of the deletion among the session's states.
        tag: StateTag,
        /// The message to the session's subscribers.
        notice: Bytes,
        /// The state that it ends, as it is written into the audit.
        last: Arc<Record>,
        /// What is written into the audit.
        entry: ChangeRecord,
    },
}

/// What a commit comes to.
#[derive(Debug)]
pub enum CommitOutcome {
    /// A limit is reached, and nothing is committed.
    RateLimited(RateLimitStatus),
    /// The decision was made, and what it changes is committed.
    Decided(Committed),
}

/// A decision that was made and committed.
#[derive(Debug)]
pub struct Committed {
    /// The state afterwards; `None` when there is no such session.
    pub record: Option<Arc<Record>>,
    /// Whether a tombstone says that the session was deleted, now or before.
    pub is_tombstoned: bool,
    /// The answer.
    pub verdict: Verdict,
    /// The command was carried out before.
    pub is_replayed: bool,
    /// The status of the commit's limit, if it has one.
    pub quota: Option<RateLimitStatus>,
    /// The server clock's time.
    pub now: Timestamp,
}

impl Decision {
    /// Whether what it changes is the command's doing, and not only time's.
    pub(in crate::store) fn is_asked_for(&self) -> bool {
        match &self.write {
            Mutation::Put { entry, .. } | Mutation::Delete { entry, .. } => {
                self.verdict.is_ok() && entry.is_asked_for()
            }
            Mutation::Nothing | Mutation::Discard => false,
        }
    }
}

impl Committed {
    /// Whether the store knows nothing of the session, not even that it was deleted.
    pub fn is_unknown(&self) -> bool {
        self.record.is_none() && !self.is_tombstoned
    }
}
