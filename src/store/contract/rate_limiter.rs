//! The role that counts the requests of clients, and the status of a limit after one more. Does not know what is limited.

use crate::client::ClientId;
use crate::engine::{ParticipantId, SessionId};

use super::error::StoreFuture;

/// Counts requests over all instances.
pub trait RateLimiter: Send + Sync {
    /// Counts one more request of a client.
    fn hit_rate_limit(&self, client: ClientId, rate: RateLimit) -> StoreFuture<'_, RateLimitStatus>;
}

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many times in a window.
    pub max: u32,
    /// The window's length in seconds; it begins with the first hit.
    pub window_s: u32,
}

/// What a limit of a session counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::store) struct SwitchCounter {
    /// The session.
    pub(in crate::store) id: SessionId,
    /// Whose switches: a participant's who ends their own turns alone, so that nobody else uses theirs up, or all others.
    pub(in crate::store) participant: Option<ParticipantId>,
}

/// How often one client may be refused by one session that has a limit. Further refusals are answered as rate limited.
pub const REFUSALS: RateLimit = RateLimit { max: 10, window_s: 1 };

/// The status of a limit after a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// What was allowed.
    pub rate: RateLimit,
    /// Hits in this window, this one included.
    pub hits: u32,
    /// Whole seconds until the window ends, rounded up.
    pub reset_s: u32,
}

impl RateLimitStatus {
    /// Whether this hit was one too many.
    pub fn is_exceeded(&self) -> bool {
        self.hits > self.rate.max
    }

    /// After the hit was given back.
    pub fn given_back(self) -> Self {
        Self { hits: self.hits.saturating_sub(1), ..self }
    }

    /// Hits that are left in this window.
    pub fn remaining(&self) -> u32 {
        self.rate.max.saturating_sub(self.hits)
    }
}
