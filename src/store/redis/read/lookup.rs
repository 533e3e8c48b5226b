//! Lookups, which change no session, and the readers that they are sent to. Does not know how they are answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::client::ClientId;
use crate::engine::{SessionId, Timestamp};
use crate::runtime::time;
use crate::store::{PendingAudit, RateLimit, RateLimitStatus, Read, StoreError};
use crate::wire::RecordBody;

const AWAY: StoreError = StoreError::Unavailable("the store does not answer");

/// Where an answer is waited for.
pub(in crate::store::redis) type ReplyTo<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something that is asked without changing a session.
pub(in crate::store::redis) enum Lookup {
    /// The state of a session.
    State(SessionId, ReplyTo<Read>),
    /// The state of a session, deleted ones included.
    RecordBody(SessionId, ReplyTo<StoredRecord>),
    /// What of a session waits to be audited.
    PendingAudit(SessionId, ReplyTo<PendingAudit>),
    /// The time.
    Time(ReplyTo<Timestamp>),
    /// The run of the server.
    Run(ReplyTo<Arc<str>>),
    /// One more hit on a limit.
    Count(ClientId, RateLimit, ReplyTo<RateLimitStatus>),
    /// A probe that is published on a channel.
    Probe(String),
}

/// What is kept of a session.
pub(in crate::store::redis) struct StoredRecord {
    /// With its deadline.
    pub(in crate::store::redis) kept: Option<(Option<Timestamp>, RecordBody)>,
    /// When that was written.
    pub(in crate::store::redis) written_at: Option<Timestamp>,
    /// The server clock's time at reading.
    pub(in crate::store::redis) now: Timestamp,
}

/// The readers of a shard. Cloning shares them.
#[derive(Clone)]
pub(in crate::store::redis) struct ReaderPool {
    inboxes: Arc<[mpsc::Sender<Lookup>]>,
    /// How long an answer is waited for.
    patience: Duration,
}

impl ReaderPool {
    pub(in crate::store::redis) fn new(inboxes: Arc<[mpsc::Sender<Lookup>]>, patience: Duration) -> Self {
        Self { inboxes, patience }
    }

    /// How long an answer is waited for.
    pub(in crate::store::redis) fn patience(&self) -> Duration {
        self.patience
    }

    /// Asks one of the readers, and waits for its answer.
    pub(in crate::store::redis) async fn ask<T>(
        &self,
        lookup: impl FnOnce(ReplyTo<T>) -> Lookup,
    ) -> Result<T, StoreError> {
        self.ask_within(self.patience, lookup).await
    }

    /// The same, but waits no longer than this.
    pub(in crate::store::redis) async fn ask_within<T>(
        &self,
        patience: Duration,
        lookup: impl FnOnce(ReplyTo<T>) -> Lookup,
    ) -> Result<T, StoreError> {
        match time::timeout(patience, self.begin(lookup)?).await {
            Ok(answered) => answered.unwrap_or(Err(AWAY)),
            Err(_) => Err(AWAY),
        }
    }

    /// Asks one of the readers; the answer comes later.
    pub(in crate::store::redis) fn begin<T>(
        &self,
        lookup: impl FnOnce(ReplyTo<T>) -> Lookup,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        // The one with the shortest queue.
        let reader = self.inboxes.iter().max_by_key(|reader| reader.capacity()).ok_or(AWAY)?;
        reader.try_send(lookup(reply)).map_err(|_| StoreError::Unavailable("too many reads are waiting"))?;
        Ok(answer)
    }

    /// Publishes a probe on a channel, unless the reader has too much to do.
    pub(in crate::store::redis) fn probe(&self, channel: &str) {
        if let Some(reader) = self.inboxes.first() {
            // A probe that is not sent is sent again later.
            let _ = reader.try_send(Lookup::Probe(channel.to_owned()));
        }
    }
}
