//! Why changes cannot be written: keys that are not what they should be, by the partition that they belong to, since
//! that is whom they harm; another number of partitions; a server that refuses whatever is a change. Each is known
//! until a later inspection finds it mended. Does not know how it is inspected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tracing::{error, info, warn};

use crate::redis::Partition;

/// Why changes cannot be written.
#[derive(Default)]
pub(in crate::store::redis) struct Faults {
    /// Something is wrong with a key: most of the time nothing is.
    is_any: AtomicBool,
    known: Mutex<KnownFaults>,
}

#[derive(Default)]
struct KnownFaults {
    /// Why nothing may be written, wherever it belongs to.
    everywhere: Option<String>,
    partitions: BTreeMap<Partition, String>,
    refusal: Option<String>,
}

impl Faults {
    /// Whether nothing may be written that belongs to a partition.
    pub(in crate::store::redis) fn block(&self, partition: Partition) -> bool {
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let known = self.known.lock();
        known.everywhere.is_some() || known.partitions.contains_key(&partition)
    }

    /// A key of a partition is not what it should be. Whether that is news.
    pub(in crate::store::redis) fn found(&self, partition: Partition, why: String) -> bool {
        let mut known = self.known.lock();
        self.is_any.store(true, Ordering::Relaxed);
        if known.partitions.contains_key(&partition) {
            return false;
        }
        error!(why, "changes cannot be written to a key in Redis: those that need it are refused");
        known.partitions.insert(partition, why);
        true
    }

    /// The keys of a partition are what they should be.
    pub(in crate::store::redis) fn mended(&self, partition: Partition) {
        let mut known = self.known.lock();
        if let Some(why) = known.partitions.remove(&partition) {
            info!(was = why, "changes can be written again");
        }
        self.is_any.store(known.is_any(), Ordering::Relaxed);
    }

    /// Why nothing may be written, wherever it belongs to, if there is a reason.
    pub(super) fn everywhere(&self, why: Option<String>) {
        let mut known = self.known.lock();
        if known.everywhere != why {
            match &why {
                Some(why) => error!(why, "nothing is written to Redis"),
                None => info!("what is in Redis is ours again"),
            }
            known.everywhere = why;
        }
        self.is_any.store(known.is_any(), Ordering::Relaxed);
    }

    /// Partitions with a key that is not what it should be.
    pub(in crate::store::redis) fn partitions(&self) -> Vec<Partition> {
        if !self.is_any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.known.lock().partitions.keys().copied().collect()
    }

    /// The server refuses changes, and says why; or takes them.
    pub(in crate::store::redis) fn refuses(&self, why: Option<&str>) {
        let mut known = self.known.lock();
        match (&known.refusal, why) {
            (None, None) => return,
            (None, Some(why)) => warn!(why, "Redis refuses changes"),
            (Some(_), None) => info!("Redis takes changes again"),
            (Some(_), Some(_)) => {}
        }
        known.refusal = why.map(str::to_owned);
    }

    /// Whether the server refuses changes.
    pub(super) fn is_refused(&self) -> bool {
        self.known.lock().refusal.is_some()
    }

    /// Why nothing can be changed at all, in the end; there are so many partitions.
    pub(in crate::store::redis) fn whole(&self, partitions: usize) -> Option<String> {
        let known = self.known.lock();
        let all = known.partitions.len() >= partitions.max(1);
        known.everywhere.clone().or_else(|| known.partitions.values().next().filter(|_| all).cloned())
    }

    /// Why the server takes no changes at the moment.
    pub(super) fn refusal(&self) -> Option<String> {
        self.known.lock().refusal.as_ref().map(|why| format!("Redis refuses changes: {why}"))
    }

    /// Why changes of some of so many partitions cannot be made.
    pub(super) fn some(&self, partitions: usize) -> Option<String> {
        let known = self.known.lock();
        let first = known.partitions.values().next()?;
        Some(format!("{} of {partitions} partitions: {first}", known.partitions.len()))
    }
}

impl KnownFaults {
    fn is_any(&self) -> bool {
        self.everywhere.is_some() || !self.partitions.is_empty()
    }
}
