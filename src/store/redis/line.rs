//! A connection that is made when it is needed, and made again after it was lost. Does not know what goes
//! over it.

use std::sync::Arc;

use crate::clock::Moment;
use crate::redis::{Pipeline, RedisConnection, RedisError, resp::Value};
use crate::store::metrics::{Operation, Role};

use super::Shared;

/// A connection of one's own.
pub(super) struct Line {
    role: Role,
    link: Option<RedisConnection>,
    was_lost: bool,
}

/// What came back, and when.
pub(super) struct Asked {
    pub(super) replies: Vec<Value>,
    pub(super) sent: Moment,
    pub(super) received: Moment,
}

impl Line {
    pub(super) fn new(role: Role) -> Self {
        Self { role, link: None, was_lost: false }
    }

    /// Whether it stands, as far as is known.
    pub(super) fn is_made(&self) -> bool {
        self.link.is_some()
    }

    /// The run of the server that it leads to; makes it if it has to.
    pub(super) async fn run_id(&mut self, shared: &Arc<Shared>) -> Result<Arc<str>, RedisError> {
        Ok(Arc::clone(self.made(shared).await?.run_id()))
    }

    /// It is not to be used again.
    pub(super) fn lose(&mut self) {
        self.was_lost |= self.link.take().is_some();
    }

    /// Sends commands in one go; it is lost when that fails.
    pub(super) async fn ask(
        &mut self,
        shared: &Arc<Shared>,
        operation: Operation,
        commands: &Pipeline,
    ) -> Result<Asked, RedisError> {
        let link = self.made(shared).await?;
        let sent = shared.clock.moment();
        match link.ask(commands).await {
            Ok(replies) => {
                let received = shared.clock.moment();
                shared.metrics.round_trip(operation, received.since(sent));
                Ok(Asked { replies, sent, received })
            }
            Err(error) => {
                // While keys are on their way it is still the one to ask for those that are not.
                if !matches!(error, RedisError::TryAgain(_)) {
                    self.lose();
                }
                Err(error)
            }
        }
    }

    /// The same for commands of one key each, of which some may be on their way to another server.
    pub(super) async fn ask_following(
        &mut self,
        shared: &Arc<Shared>,
        commands: &Pipeline,
    ) -> Result<Asked, RedisError> {
        let link = self.made(shared).await?;
        let sent = shared.clock.moment();
        let replies = link.ask_following(commands).await.inspect_err(|_| self.lose())?;
        Ok(Asked { replies, sent, received: shared.clock.moment() })
    }

    /// The connection; makes it if it has to. Whoever meets an error on it loses it.
    pub(super) async fn made(&mut self, shared: &Arc<Shared>) -> Result<&mut RedisConnection, RedisError> {
        if self.link.is_none() {
            let link = shared.connect().await?;
            if std::mem::take(&mut self.was_lost) {
                shared.metrics.reconnected(self.role);
            }
            return Ok(self.link.insert(link));
        }
        self.link.as_mut().ok_or_else(|| RedisError::Io("it was never made".to_owned()))
    }
}
