//! Counts how often each client was refused by each session that has a limit, as far as this instance knows. Does not
//! know why a command is refused.

use crate::client::ClientId;
use crate::clock::Clock;
use crate::engine::SessionId;
use crate::redis::{Keyspace, resp::Value};
use crate::store::rate_limit::RateWindows;
use crate::store::redis::limits;
use crate::store::{Commit, REFUSALS, RateLimitStatus};

/// Refusals by session and client.
pub(in crate::store::redis) struct RefusalCounter {
    keyspace: Keyspace,
    clock: Clock,
    known: RateWindows<(SessionId, ClientId)>,
}

impl RefusalCounter {
    /// No client was refused anything.
    pub(in crate::store::redis) fn new(keyspace: Keyspace, clock: Clock) -> Self {
        Self { keyspace, clock, known: RateWindows::new() }
    }

    /// The names of keys.
    pub(super) fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    /// Whether the sender of a commit was refused too often before.
    pub(super) fn is_suspect(&self, commit: &Commit) -> bool {
        self.exceeded(commit.id, commit.client).is_some()
    }

    /// The limit of a client's refusals, if it is reached.
    pub(super) fn exceeded(&self, id: SessionId, client: Option<ClientId>) -> Option<RateLimitStatus> {
        self.known.reached(&(id, client?), REFUSALS, self.clock.now())
    }

    /// Takes in the replies to one more refusal.
    pub(super) fn learn(
        &self,
        replies: &mut impl Iterator<Item = Value>,
        key: (SessionId, ClientId),
    ) -> Option<RateLimitStatus> {
        let quota = limits::counted(replies, REFUSALS).ok()?.quota;
        self.known.learn(key, quota, self.clock.now());
        Some(quota)
    }
}
