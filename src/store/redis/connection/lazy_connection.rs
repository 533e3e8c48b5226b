//! A lazy connection: made at the first use, and again after it was lost. Does not know what is asked on it.

use std::sync::Arc;

use crate::clock::Moment;
use crate::redis::{Pipeline, RedisConnection, RedisError, resp::Value};
use crate::store::metrics::{Operation, Role};

use super::connector::Connector;

/// An exclusive connection that is made when it is needed.
pub(in crate::store::redis) struct LazyConnection {
    connector: Arc<Connector>,
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
    pub(in crate::store::redis) fn new(connector: Arc<Connector>, role: Role) -> Self {
        Self { connector, role, inner: None, was_lost: false }
    }

    /// Whether there is a connection, as far as is known.
    pub(in crate::store::redis) fn is_made(&self) -> bool {
        self.inner.is_some()
    }

    /// The run of the server that it leads to; makes the connection if there is none.
    pub(in crate::store::redis) async fn run_id(&mut self) -> Result<Arc<str>, RedisError> {
        Ok(Arc::clone(self.made().await?.run_id()))
    }

    /// What makes the connection.
    pub(in crate::store::redis) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Drops the connection: it is not used again.
    pub(in crate::store::redis) fn discard(&mut self) {
        self.was_lost |= self.inner.take().is_some();
    }

    /// Sends a pipeline and waits for its replies. An error discards the connection.
    pub(in crate::store::redis) async fn ask(
        &mut self,
        operation: Operation,
        commands: &Pipeline,
    ) -> Result<RoundTrip, RedisError> {
        self.make().await?;
        let Some(inner) = &mut self.inner else { return Err(never_made()) };
        let sent = self.connector.server_clock().moment();
        match inner.ask(commands).await {
            Ok(replies) => {
                let received = self.connector.server_clock().moment();
                self.connector.metrics().round_trip(operation, received.since(sent));
                Ok(RoundTrip { replies, sent, received })
            }
            Err(error) => {
                // While a hash slot migrates this server still serves the keys that it has.
                if !matches!(error, RedisError::TryAgain(_)) {
                    self.discard();
                }
                Err(error)
            }
        }
    }

    /// The same for commands of one key each, whose hash slots may be migrating to another server.
    pub(in crate::store::redis) async fn ask_following(
        &mut self,
        commands: &Pipeline,
    ) -> Result<RoundTrip, RedisError> {
        self.make().await?;
        let Some(inner) = &mut self.inner else { return Err(never_made()) };
        let sent = self.connector.server_clock().moment();
        match inner.ask_following(commands).await {
            Ok(replies) => Ok(RoundTrip { replies, sent, received: self.connector.server_clock().moment() }),
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// The connection; makes it if there is none. The caller discards it after an error.
    pub(in crate::store::redis) async fn made(&mut self) -> Result<&mut RedisConnection, RedisError> {
        self.make().await?;
        self.inner.as_mut().ok_or_else(never_made)
    }

    async fn make(&mut self) -> Result<(), RedisError> {
        if self.inner.is_none() {
            self.inner = Some(self.connector.connect().await?);
            if std::mem::take(&mut self.was_lost) {
                self.connector.metrics().reconnected(self.role);
            }
        }
        Ok(())
    }
}

fn never_made() -> RedisError {
    RedisError::Io("it was never made".to_owned())
}
