//! Rate limits that all instances share: integers that live as long as their window. Does not know what is
//! limited.

use std::time::Duration;

use crate::redis::{Pipeline, resp::Value};
use crate::store::{RateLimit, RateLimitStatus, StoreError};

/// How many replies there are to each of these.
pub(in crate::store::redis) const REPLIES: usize = 3;

/// Counts one more hit. The window begins with the first; a key never stays without an end, whatever was
/// interrupted before.
pub(in crate::store::redis) fn count(commands: &mut Pipeline, key: &str, rate: RateLimit) {
    commands.cmd("INCR").arg(key);
    last(commands, key, rate);
}

/// Reads the count without a hit.
pub(in crate::store::redis) fn look(commands: &mut Pipeline, key: &str, rate: RateLimit) {
    commands.cmd("INCRBY").arg(key).arg(0);
    last(commands, key, rate);
}

/// Takes so many hits back.
pub(in crate::store::redis) fn give_back(commands: &mut Pipeline, key: &str, hits: usize, rate: RateLimit) {
    commands.cmd("DECRBY").arg(key).arg(hits);
    last(commands, key, rate);
}

fn last(commands: &mut Pipeline, key: &str, rate: RateLimit) {
    // A key is there until the end of its last millisecond, and none longer than a window, whatever the clock was set
    // to.
    commands.cmd("PEXPIRE").arg(key).arg(u64::from(rate.window_s) * 1_000 - 1).arg("LT");
    commands.cmd("PTTL").arg(key);
}

/// The status of a limit, and how long its window lasts.
pub(in crate::store::redis) struct CountedHit {
    pub(in crate::store::redis) quota: RateLimitStatus,
    pub(in crate::store::redis) left: Duration,
}

/// The replies to any of these. A server that is full refuses to count, which is no reason to refuse anything else.
pub(in crate::store::redis) fn counted(
    replies: &mut impl Iterator<Item = Value>,
    rate: RateLimit,
) -> Result<CountedHit, StoreError> {
    let [hits, _, left_ms] = [replies.next(), replies.next(), replies.next()];
    match (hits, left_ms) {
        (Some(Value::Int(hits)), Some(Value::Int(left_ms))) => {
            // Whatever stood there before: no window is longer, and no count is larger.
            let left_ms = left_ms.max(0).unsigned_abs().min(u64::from(rate.window_s) * 1_000);
            let hits = u32::try_from(hits.max(0)).unwrap_or(u32::MAX);
            let quota = RateLimitStatus { rate, hits, reset_s: left_ms.div_ceil(1_000) as u32 };
            Ok(CountedHit { quota, left: Duration::from_millis(left_ms) })
        }
        _ => Err(StoreError::Unavailable("it cannot be counted")),
    }
}
