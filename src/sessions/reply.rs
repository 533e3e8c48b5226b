//! The results of requests: a reply to a command, a view of a session, or a failure. Does not know how they are encoded.

use std::sync::Arc;

use crate::engine::{Outcome, Refusal, SessionId, Timestamp};
use crate::store::{CommitOutcome, Committed, RateLimitStatus, Record, Snapshot, StoreError};

/// The reply to a command.
#[derive(Debug)]
pub struct CommandReply {
    /// The session as it is now, or why the command was not applied.
    pub result: Result<Applied, Failure>,
    /// The command was carried out before, and was not again.
    pub is_replayed: bool,
    /// The status of the command's own limit, if it has one.
    pub quota: Option<RateLimitStatus>,
}

impl CommandReply {
    /// The reply that a commit's outcome makes.
    pub(super) fn of(id: SessionId, outcome: Result<CommitOutcome, StoreError>) -> Self {
        match outcome {
            Ok(CommitOutcome::Decided(Committed { record, verdict, is_replayed, quota, now, .. })) => {
                let result = match verdict {
                    Ok(outcome) => Ok(Applied { record, outcome, now }),
                    Err(refusal) => Err(Failure::Refused(id, refusal)),
                };
                Self { result, is_replayed, quota }
            }
            Ok(CommitOutcome::RateLimited(quota)) => {
                Self { result: Err(Failure::Limited(quota)), is_replayed: false, quota: Some(quota) }
            }
            Err(error) => Self { result: Err(Failure::Store(error)), is_replayed: false, quota: None },
        }
    }

    /// Whether the stored bytes are no state.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self.result, Err(Failure::Store(StoreError::Unreadable)))
    }
}

/// A session that was read.
#[derive(Debug)]
pub struct SessionView {
    /// The state.
    pub snapshot: Snapshot,
    /// The server clock's time.
    pub now: Timestamp,
    /// The view is settled but could not be stored: the tag names the stored state.
    pub is_unsaved: bool,
}

/// A command that was applied.
#[derive(Debug)]
pub struct Applied {
    /// The state; `None` after a deletion.
    pub record: Option<Arc<Record>>,
    /// The outcome beside the state.
    pub outcome: Outcome,
    /// The server clock's time.
    pub now: Timestamp,
}

/// Why a request failed.
#[derive(Debug)]
pub enum Failure {
    /// The session refuses it.
    Refused(SessionId, Refusal),
    /// Its limit is reached.
    Limited(RateLimitStatus),
    /// The store cannot answer.
    Store(StoreError),
    /// No archive records what happens.
    NoHistory,
}
