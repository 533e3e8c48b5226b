//! Rate limits counted in this process: fixed windows that begin with the first hit. Does not know what
//! is limited.

use std::hash::{BuildHasher, Hash};

use parking_lot::Mutex;

use crate::engine::{Millis, Timestamp};
use crate::hashing::{HashMap, KeyedState};

use super::contract::{RateLimit, RateLimitStatus};

const SHARDS: usize = 16;
/// A shard is not looked through for windows that have ended before it has this many.
const SWEEP_LEN_MIN: usize = 256;

/// Counts hits by key.
#[derive(Debug)]
pub(super) struct RateWindows<K> {
    hasher: KeyedState,
    shards: Box<[Mutex<WindowShard<K>>]>,
}

#[derive(Debug)]
struct WindowShard<K> {
    windows: HashMap<K, RateWindow>,
    sweep_len: usize,
}

#[derive(Debug)]
struct RateWindow {
    hits: u32,
    ends: Timestamp,
}

impl<K: Hash + Eq> RateWindows<K> {
    pub(super) fn new() -> Self {
        let shard = || Mutex::new(WindowShard { windows: HashMap::default(), sweep_len: SWEEP_LEN_MIN });
        Self { hasher: KeyedState::default(), shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// One more hit.
    pub(super) fn hit(&self, key: K, rate: RateLimit, now: Timestamp) -> RateLimitStatus {
        self.enter(key, rate, now).0
    }

    /// The same; returns when the window ends, too.
    pub(super) fn enter(&self, key: K, rate: RateLimit, now: Timestamp) -> (RateLimitStatus, Timestamp) {
        let mut shard = self.shard(&key).lock();
        shard.sweep(now);
        let fresh = || RateWindow { hits: 0, ends: now + Millis::new(u64::from(rate.window_s) * 1_000) };
        let window = shard.windows.entry(key).or_insert_with(fresh);
        if window.ends <= now {
            *window = fresh();
        }
        window.hits = window.hits.saturating_add(1);
        (window.quota(rate, now), window.ends)
    }

    /// Takes a hit back, if the window that ends at `ends` is the present one.
    pub(super) fn give_back(&self, key: &K, ends: Timestamp) {
        let mut shard = self.shard(key).lock();
        if let Some(window) = shard.windows.get_mut(key).filter(|window| window.ends == ends) {
            window.hits = window.hits.saturating_sub(1);
        }
    }

    /// The status of a limit that is reached; `None` when it is not.
    pub(super) fn reached(&self, key: &K, rate: RateLimit, now: Timestamp) -> Option<RateLimitStatus> {
        let shard = self.shard(key).lock();
        let window = shard.windows.get(key).filter(|window| window.ends > now && window.hits >= rate.max)?;
        Some(window.quota(rate, now))
    }

    /// Records the status of a limit that is counted elsewhere.
    pub(super) fn learn(&self, key: K, quota: RateLimitStatus, now: Timestamp) {
        let mut shard = self.shard(&key).lock();
        shard.sweep(now);
        let ends = now + Millis::new(u64::from(quota.reset_s) * 1_000);
        shard.windows.insert(key, RateWindow { hits: quota.hits, ends });
    }

    fn shard(&self, key: &K) -> &Mutex<WindowShard<K>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

impl<K> WindowShard<K> {
    /// Windows that have ended are dropped whenever a shard has doubled, so that it holds at most twice the keys of one
    /// window.
    fn sweep(&mut self, now: Timestamp) {
        if self.windows.len() >= self.sweep_len {
            self.windows.retain(|_, window| window.ends > now);
            self.sweep_len = SWEEP_LEN_MIN.max(self.windows.len() * 2);
        }
    }
}

impl RateWindow {
    fn quota(&self, rate: RateLimit, now: Timestamp) -> RateLimitStatus {
        RateLimitStatus { rate, hits: self.hits, reset_s: self.ends.since(now).as_ms().div_ceil(1_000) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::{RateWindows, SHARDS, SWEEP_LEN_MIN};
    use crate::engine::Timestamp;
    use crate::store::RateLimit;

    const RATE: RateLimit = RateLimit { max: 2, window_s: 1 };

    #[test]
    fn a_window_begins_with_the_first_hit_and_ends_after_its_length() {
        let limits = RateWindows::new();
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
    fn a_hit_is_given_back_to_the_window_that_it_was_counted_in() {
        let limits = RateWindows::new();
        let at = Timestamp::from_ms;
        let (_, first) = limits.enter("key", RATE, at(0));
        limits.enter("key", RATE, at(1));
        assert_eq!(limits.reached(&"key", RATE, at(2)).map(|quota| quota.hits), Some(2));
        limits.give_back(&"key", first);
        assert_eq!(limits.reached(&"key", RATE, at(3)), None);
        assert_eq!(limits.hit("key", RATE, at(4)).hits, 2);
        assert_eq!(limits.hit("key", RATE, at(1_000)).hits, 1);
        limits.give_back(&"key", first);
        assert_eq!(limits.hit("key", RATE, at(1_001)).hits, 2, "that one is over");
        limits.give_back(&"other", first);
        assert_eq!(limits.hit("other", RATE, at(1_002)).hits, 1);
    }

    #[test]
    fn keys_do_not_share_a_window_and_old_windows_go() {
        let limits = RateWindows::new();
        for key in 0..100_000_u64 {
            assert_eq!(limits.hit(key, RATE, Timestamp::from_ms(key * 10)).hits, 1);
        }
        let kept: usize = limits.shards.iter().map(|shard| shard.lock().windows.len()).sum();
        assert!(kept <= SHARDS * (SWEEP_LEN_MIN + 1), "{kept} windows kept");
    }
}
