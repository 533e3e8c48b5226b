//! A lazy connection: made at the first use, and again after it was lost. Does not know what is asked on it.

use std::sync::Arc;

use crate::clock::Moment;
use crate::redis::{Pipeline, RedisConnection, RedisError, resp::Value};
use crate::store::metrics::{Operation, Role};
use crate::store::redis::shard_context::ShardContext;

/// An exclusive connection that is made when it is needed.
pub(in crate::store::redis) struct LazyConnection {
    role: Role,
    inner: Option<RedisConnection>,
    was_lost: bool,
}

/// The replies of a round trip, and when they came.
pub(in crate::store::redis) struct RoundTrip {
    pub(in crate::store::redis) replies: Vec<Value>,
    pub(in crate::store::redis) sent: Moment,
    pub(in crate::store::redis) received: Moment,
}

impl LazyConnection {
    pub(in crate::store::redis) fn new(role: Role) -> Self {
        Self { role, inner: None, was_lost: false }
    }

    /// Whether it stands, as far as is known.
    pub(in crate::store::redis) fn is_made(&self) -> bool {
        self.inner.is_some()
    }

    /// The run of the server that it leads to; makes it if it has to.
    pub(in crate::store::redis) async fn run_id(&mut self, shared: &Arc<ShardContext>) -> Result<Arc<str>, RedisError> {
        Ok(Arc::clone(self.made(shared).await?.run_id()))
    }

    /// Drops the connection: it is not to be used again.
    pub(in crate::store::redis) fn discard(&mut self) {
        self.was_lost |= self.inner.take().is_some();
    }

    /// Sends commands in one go; it is lost when that fails.
    pub(in crate::store::redis) async fn ask(
        &mut self,
        shared: &Arc<ShardContext>,
        operation: Operation,
        commands: &Pipeline,
    ) -> Result<RoundTrip, RedisError> {
        let inner = self.made(shared).await?;
        let sent = shared.clock.moment();
        match inner.ask(commands).await {
            Ok(replies) => {
                let received = shared.clock.moment();
                shared.metrics.round_trip(operation, received.since(sent));
                Ok(RoundTrip { replies, sent, received })
            }
            Err(error) => {
                // While keys are on their way it is still the one to ask for those that are not.
                if !matches!(error, RedisError::TryAgain(_)) {
                    self.discard();
                }
                Err(error)
            }
        }
    }

    /// The same for commands of one key each, of which some may be on their way to another server.
    pub(in crate::store::redis) async fn ask_following(
        &mut self,
        shared: &Arc<ShardContext>,
        commands: &Pipeline,
    ) -> Result<RoundTrip, RedisError> {
        let inner = self.made(shared).await?;
        let sent = shared.clock.moment();
        let replies = inner.ask_following(commands).await.inspect_err(|_| self.discard())?;
        Ok(RoundTrip { replies, sent, received: shared.clock.moment() })
    }

    /// The connection; makes it if it has to. Whoever meets an error on it loses it.
    pub(in crate::store::redis) async fn made(
        &mut self,
        shared: &Arc<ShardContext>,
    ) -> Result<&mut RedisConnection, RedisError> {
        if self.inner.is_none() {
            let inner = shared.connect().await?;
            if std::mem::take(&mut self.was_lost) {
                shared.metrics.reconnected(self.role);
            }
            return Ok(self.inner.insert(inner));
        }
        self.inner.as_mut().ok_or_else(|| RedisError::Io("it was never made".to_owned()))
    }
}
