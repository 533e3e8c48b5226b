//! What the log says about the servers of all shards: many shards meet the same trouble at once, which is logged once a
//! minute. Does not know how a server is examined.

use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, info, warn};

use crate::clock::Moment;
use crate::redis::RedisError;

/// How soon the same reason is logged again.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Reasons that are remembered for that.
const TOLD_MAX: usize = 64;

/// What was logged about the servers of all shards.
#[derive(Default)]
pub(in crate::store::redis) struct HealthLog(Mutex<HealthLogState>);

#[derive(Default)]
struct HealthLogState {
    /// How many shards are not well.
    ill: usize,
    reasons: Vec<(String, Moment)>,
    cautions: Vec<&'static str>,
}

impl HealthLog {
    /// One more shard is not well.
    pub(super) fn one_is_ill(&self) {
        self.0.lock().ill += 1;
    }

    /// A shard is not well, and why.
    pub(super) fn tell(&self, error: &RedisError, now: Moment, was_ill: bool) {
        let reason = error.to_string();
        let mut told = self.0.lock();
        told.ill += usize::from(!was_ill);
        told.reasons.retain(|(_, at)| now.since(*at) < TELL_AGAIN);
        if told.reasons.iter().any(|(known, _)| *known == reason) || told.reasons.len() >= TOLD_MAX {
            return;
        }
        match error {
            RedisError::Misconfigured(_) => error!(why = reason, "Redis cannot be used as it is"),
            RedisError::Io(_) | RedisError::Server(_) | RedisError::Moved(_) | RedisError::TryAgain(_) => {
                warn!(why = reason, "waiting for Redis");
            }
        }
        told.reasons.push((reason, now));
    }

    /// One shard less is not well.
    pub(super) fn one_is_well(&self) {
        let mut told = self.0.lock();
        told.ill = told.ill.saturating_sub(1);
        if told.ill == 0 {
            // What comes now is new.
            told.reasons.clear();
            info!("Redis answers");
        }
    }

    /// Says once what should be known of a server that can be used.
    pub(super) fn caution(&self, what: &'static str) {
        let mut told = self.0.lock();
        if !told.cautions.contains(&what) {
            told.cautions.push(what);
            warn!("{what}");
        }
    }
}
