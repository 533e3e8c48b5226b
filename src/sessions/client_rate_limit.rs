//! The general limit: how many requests each client may send, whatever it asks for. Does not know what a request is.

use std::sync::Arc;

use crate::client::ClientId;
use crate::store::{RateLimit, RateLimitStatus, RateLimiter, StoreError};

/// Counts the requests of each client. Cloning shares the counts.
#[derive(Clone)]
pub struct ClientRateLimit {
    limiter: Arc<dyn RateLimiter>,
    /// `None` is without limit.
    rate: Option<RateLimit>,
}

impl ClientRateLimit {
    /// A limit that `limiter` counts.
    pub fn new(limiter: Arc<dyn RateLimiter>, rate: Option<RateLimit>) -> Self {
        Self { limiter, rate }
    }

    /// Counts one more request of a client; `None` when there is no limit.
    pub async fn hit(&self, client: ClientId) -> Result<Option<RateLimitStatus>, StoreError> {
        match self.rate {
            Some(rate) => self.limiter.hit_rate_limit(client, rate).await.map(Some),
            None => Ok(None),
        }
    }
}
