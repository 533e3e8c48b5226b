//! Rate limits counted in this process: fixed windows that begin with the first hit. Does not know what
//! is limited.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;

use crate::engine::{Millis, Timestamp};

use super::{Quota, Rate};

const SHARDS: usize = 16;
/// A shard is not looked through for windows that have ended before it has this many.
const SWEEP_LEN_MIN: usize = 256;

/// Counts hits by key.
#[derive(Debug)]
pub(super) struct Limits<K> {
    hasher: RandomState,
    shards: Box<[Mutex<Shard<K>>]>,
}

#[derive(Debug)]
struct Shard<K> {
    windows: HashMap<K, Window>,
    sweep_len: usize,
}

#[derive(Debug)]
struct Window {
    hits: u32,
    ends: Timestamp,
}

impl<K: Hash + Eq> Limits<K> {
    pub(super) fn new() -> Self {
        let shard = || Mutex::new(Shard { windows: HashMap::new(), sweep_len: SWEEP_LEN_MIN });
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// One more hit. Windows that have ended are dropped whenever a shard has doubled, so that it holds at
    /// most twice the keys of one window.
    pub(super) fn hit(&self, key: K, rate: Rate, now: Timestamp) -> Quota {
        let mut shard = self.shards[self.hasher.hash_one(&key) as usize % SHARDS].lock();
        if shard.windows.len() >= shard.sweep_len {
            shard.windows.retain(|_, window| window.ends > now);
            shard.sweep_len = SWEEP_LEN_MIN.max(shard.windows.len() * 2);
        }
        let fresh = || Window { hits: 0, ends: now + Millis::new(u64::from(rate.window_s) * 1_000) };
        let window = shard.windows.entry(key).or_insert_with(fresh);
        if window.ends <= now {
            *window = fresh();
        }
        window.hits = window.hits.saturating_add(1);
        let reset_s = window.ends.since(now).as_ms().div_ceil(1_000) as u32;
        Quota { rate, hits: window.hits, reset_s }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, SHARDS, SWEEP_LEN_MIN};
    use crate::engine::Timestamp;
    use crate::store::Rate;

    const RATE: Rate = Rate { max: 2, window_s: 1 };

    #[test]
    fn a_window_begins_with_the_first_hit_and_ends_after_its_length() {
        let limits = Limits::new();
        let hit = |ms| {
            let quota = limits.hit("key", RATE, Timestamp::from_ms(ms));
            (quota.is_exceeded(), quota.remaining(), quota.reset_s)
        };
        assert_eq!(hit(700), (false, 1, 1));
        assert_eq!(hit(1_000), (false, 0, 1));
        assert_eq!(hit(1_699), (true, 0, 1));
        assert_eq!(hit(1_700), (false, 1, 1));
    }

    #[test]
    fn keys_do_not_share_a_window_and_old_windows_go() {
        let limits = Limits::new();
        for key in 0..100_000_u64 {
            assert_eq!(limits.hit(key, RATE, Timestamp::from_ms(key * 10)).hits, 1);
        }
        let kept: usize = limits.shards.iter().map(|shard| shard.lock().windows.len()).sum();
        assert!(kept <= SHARDS * (SWEEP_LEN_MIN + 1), "{kept} windows kept");
    }
}
