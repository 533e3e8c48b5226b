//! Values in Redis that are no state of ours: each is logged once, and counted. Does not know who may repair it.

use std::hash::BuildHasher;

use parking_lot::Mutex;
use tracing::error;

use crate::engine::SessionId;
use crate::hashing::{HashMap, KeyedState};
use crate::store::metrics::{Metrics, Rejected};

/// Values that are remembered, so that none is logged twice; all are forgotten when there are more.
const VALUES_MAX: usize = 4_096;

/// Values that were logged.
#[derive(Default)]
pub(in crate::store::redis) struct Quarantine {
    hasher: KeyedState,
    told: Mutex<HashMap<SessionId, u64>>,
}

impl Quarantine {
    /// A value cannot be read.
    pub(in crate::store::redis) fn reject(&self, id: SessionId, key: &str, value: &[u8], why: &str, metrics: &Metrics) {
        let fingerprint = self.hasher.hash_one(value);
        let mut told = self.told.lock();
        if told.get(&id) == Some(&fingerprint) {
            return;
        }
        if told.len() >= VALUES_MAX {
            told.clear();
        }
        told.insert(id, fingerprint);
        drop(told);
        metrics.rejected(Rejected::State);
        error!(key, why, bytes = value.len(), "a stored state cannot be read: nobody uses it until it is replaced");
    }
}

#[cfg(test)]
mod tests {
    use super::{Metrics, Quarantine, VALUES_MAX};
    use crate::engine::{SessionId, Uuid};
    use crate::store::metrics::Rejected;

    #[test]
    fn a_value_is_counted_once_and_another_one_again() {
        let (quarantine, metrics) = (Quarantine::default(), Metrics::default());
        let id = |n: usize| SessionId(Uuid::from_bits(n as u128));
        for (n, value, expected) in [(1, "a", 1), (1, "a", 1), (1, "b", 2), (2, "b", 3), (1, "b", 3)] {
            quarantine.reject(id(n), "key", value.as_bytes(), "why", &metrics);
            assert_eq!(metrics.count_of(Rejected::State), expected, "{n} {value}");
        }
        for n in 0..2 * VALUES_MAX {
            quarantine.reject(id(n), "key", b"c", "why", &metrics);
        }
        assert!(quarantine.told.lock().len() <= VALUES_MAX);
    }
}
