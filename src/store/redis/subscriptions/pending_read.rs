//! A stored record that is being read again for the subscribers of its session. Does not know what they are sent.

use std::pin::Pin;

use crate::engine::SessionId;
use crate::store::redis::read::StoredRecord;

/// A record that is being read.
pub(super) type PendingRead = Pin<Box<dyn Future<Output = FinishedRead> + Send>>;

/// A record that was read, if it could be.
pub(super) struct FinishedRead {
    pub(super) id: SessionId,
    pub(super) cause: ReadCause,
    pub(super) found: Option<StoredRecord>,
}

/// Why a record is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadCause {
    /// A published message may be wrong.
    Doubt,
    /// The lifetime of the session should be over.
    Lifetime,
}
