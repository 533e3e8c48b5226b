//! Rate limits that all instances share: integers that live as long as their window. Does not know what is
//! limited.

use crate::redis::{Commands, Reply};
use crate::store::{Quota, Rate, StoreError};

/// Counts one more hit. The window begins with the first; a key never stays without an end, whatever was
/// interrupted before.
pub(super) fn count(commands: &mut Commands, key: &str, rate: Rate) {
    commands.cmd("INCR").arg(key);
    // A key is there until the end of its last millisecond.
    commands.cmd("PEXPIRE").arg(key).arg(u64::from(rate.window_s) * 1_000 - 1).arg("NX");
    commands.cmd("PTTL").arg(key);
}

/// The replies to [`count`]. A server that is full refuses to count, which is no reason to refuse anything else.
pub(super) fn counted(replies: &mut impl Iterator<Item = Reply>, rate: Rate) -> Result<Quota, StoreError> {
    let [hits, _, left_ms] = [replies.next(), replies.next(), replies.next()];
    match (hits, left_ms) {
        (Some(Reply::Int(hits)), Some(Reply::Int(left_ms))) => {
            let reset_s = left_ms.max(0).unsigned_abs().div_ceil(1_000) as u32;
            Ok(Quota { rate, hits: hits.max(0) as u32, reset_s })
        }
        _ => Err(StoreError::Unavailable("it cannot be counted")),
    }
}
