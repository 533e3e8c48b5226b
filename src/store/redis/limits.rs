//! Rate limits that all instances share: integers that live as long as their window. Does not know what is
//! limited.

use crate::redis::{Commands, LinkError, Reply};
use crate::store::{Quota, Rate};

use super::replies;

/// Counts one more hit. The window begins with the first; a key never stays without an end, whatever was
/// interrupted before.
pub(super) fn count(commands: &mut Commands, key: &str, rate: Rate) {
    commands.cmd("INCR").arg(key);
    commands.cmd("PEXPIRE").arg(key).arg(u64::from(rate.window_s) * 1_000).arg("NX");
    commands.cmd("PTTL").arg(key);
}

/// The replies to [`count`].
pub(super) fn counted(replies: &mut impl Iterator<Item = Reply>, rate: Rate) -> Result<Quota, LinkError> {
    let hits = replies::integer(&replies::next(replies)?)?.max(0) as u32;
    replies::integer(&replies::next(replies)?)?;
    let left_ms = replies::integer(&replies::next(replies)?)?.max(0) as u64;
    Ok(Quota { rate, hits, reset_s: left_ms.div_ceil(1_000) as u32 })
}
