//! How records are stored: in which format, and for how long. Does not know what is in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::engine::Millis;
use crate::store::Lifetimes;

/// How records are stored. Cloning shares the format.
#[derive(Clone, Debug)]
pub struct RecordPolicy {
    /// The format that they are written in.
    pub format: RecordFormat,
    /// How long a session is kept.
    pub lifetimes: Lifetimes,
    /// How long the tombstone of a deleted session is kept.
    pub tombstone_ttl: Millis,
}

/// The format that records are written in, which may change while others are upgraded. Cloning shares it.
#[derive(Clone, Debug)]
pub struct RecordFormat(Arc<AtomicU8>);

impl Default for RecordFormat {
    /// The one that every server reads.
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(1)))
    }
}

impl RecordFormat {
    /// The number of the format.
    pub fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// From now on this one.
    pub fn set(&self, format: u8) {
        self.0.store(format, Ordering::Relaxed);
    }
}

/// The time to live of a key in Redis, in seconds.
pub(super) fn ttl_s(lifetime: Millis) -> u64 {
    lifetime.as_ms().div_ceil(1_000)
}
