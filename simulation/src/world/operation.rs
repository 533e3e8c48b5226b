//! What a client asks and what comes of it: the history of a run. Does not know how a client asks.

use std::time::Duration;

use synckairos::engine::{SessionId, StateTag};
use synckairos::sessions::Failure;
use synckairos::store::StoreError;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A new session.
    Create,
    /// The first turn.
    Start,
    /// The next turn.
    Switch,
    /// An interruption.
    Pause,
    /// Its end.
    Resume,
    /// Other metadata, which names the operation.
    Patch,
    /// The session's end.
    Complete,
    /// The session is called off.
    Cancel,
    /// The session is taken away.
    Delete,
    /// Its state.
    Read,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done; the session's state then, if there is one.
    Done(Option<StateTag>),
    /// The session does not allow it.
    Refused,
    /// Nothing was done.
    NotDone,
    /// It may have been done.
    Unknown,
}

impl Answer {
    /// What whoever met a failure was told.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        match failure {
            Failure::Refused(..) => Self::Refused,
            Failure::Store(StoreError::UnknownOutcome | StoreError::Broken) => Self::Unknown,
            Failure::Store(
                StoreError::Unavailable(_)
                | StoreError::Unreadable
                | StoreError::Newer
                | StoreError::TooNew
                | StoreError::Fault,
            )
            | Failure::Limited(_)
            | Failure::NoHistory => Self::NotDone,
        }
    }
}

/// An operation of a client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Which of all.
    pub number: u64,
    /// Which instance was asked.
    pub instance: usize,
    /// Whose.
    pub session: SessionId,
    /// What was asked.
    pub kind: Kind,
    /// When it was asked.
    pub asked_at: Duration,
    /// When it was answered.
    pub answered_at: Duration,
    /// The answer.
    pub answer: Answer,
    /// What was asked, as it is judged; `None` when it is not.
    pub ask: Option<histories::Ask>,
    /// The answer, as it is judged.
    pub told: Option<histories::Answer>,
}

impl Operation {
    /// The metadata by which it is known, if it is a patch.
    pub fn mark(number: u64) -> String {
        format!(r#"{{"operation":{number}}}"#)
    }
}
