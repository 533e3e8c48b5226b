//! How records are stored: in which format, and for how long. Does not know what is in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::engine::{Millis, Session};
use crate::store::Lifetimes;
use crate::wire;

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
pub struct RecordFormat(Arc<Formats>);

#[derive(Debug)]
struct Formats {
    written: AtomicU8,
    read: AtomicU8,
}

impl Default for RecordFormat {
    /// The one that every server reads.
    fn default() -> Self {
        Self(Arc::new(Formats { written: AtomicU8::new(1), read: AtomicU8::new(1) }))
    }
}

impl RecordFormat {
    /// The number of the format.
    pub fn get(&self) -> u8 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// The format of a state: one that says what older formats cannot has its own.
    pub(super) fn of(&self, session: Option<&Session>) -> u8 {
        match session {
            Some(session) => wire::format_of(session, self.get()),
            None => self.get(),
        }
    }

    /// Whether every server reads a format.
    pub fn reads(&self, format: u8) -> bool {
        format <= self.0.read.load(Ordering::Relaxed)
    }

    /// From now on `written`, where every server reads up to `read`.
    pub fn set(&self, written: u8, read: u8) {
        self.0.written.store(written, Ordering::Relaxed);
        self.0.read.store(read, Ordering::Relaxed);
    }
}

/// The time to live of a key in Redis, in seconds.
pub(super) fn ttl_s(lifetime: Millis) -> u64 {
    lifetime.as_ms().div_ceil(1_000)
}
