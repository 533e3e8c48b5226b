//! A bound on the bytes that are held at once: reserved when they arrive and released when they go. Does not know what they
//! are, nor what happens when they do not fit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// A number of bytes that may be held, and those that are. Cloning shares it.
#[derive(Clone, Debug)]
pub struct BytesBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    held: AtomicUsize,
    max: AtomicUsize,
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    budget: BytesBudget,
    bytes: usize,
}

impl BytesBudget {
    /// So many at most.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner { held: AtomicUsize::new(0), max: AtomicUsize::new(max) }))
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Bounds what is held from now on.
    pub fn set_max(&self, max: usize) {
        self.0.max.store(max, Ordering::Relaxed);
    }

    /// A reservation of nothing, to be added to.
    pub fn none(&self) -> HeldBytes {
        HeldBytes { budget: self.clone(), bytes: 0 }
    }

    /// Reserves `bytes`, unless more than `percent` of the bound would be held.
    pub fn try_add(&self, bytes: usize, percent: usize) -> bool {
        let max = self.0.max.load(Ordering::Relaxed);
        let max = max / 100 * percent + max % 100 * percent / 100;
        let added = |held: usize| held.checked_add(bytes).filter(|held| *held <= max);
        self.0.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).is_ok()
    }

    /// Counts `bytes` that cannot be refused.
    pub fn add(&self, bytes: usize) {
        self.0.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Releases so many.
    pub fn remove(&self, bytes: usize) {
        self.0.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Shows how many are held.
impl EncodeMetric for BytesBudget {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.encode_gauge(&i64::try_from(self.held()).unwrap_or(i64::MAX))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl HeldBytes {
    /// Reserves more, if it fits.
    pub fn try_add(&mut self, bytes: usize) -> bool {
        let is_added = self.budget.try_add(bytes, 100);
        self.bytes += if is_added { bytes } else { 0 };
        is_added
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.budget.remove(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::BytesBudget;

    #[test]
    fn holds_no_more_than_it_may() {
        let budget = BytesBudget::new(1_000);
        assert!(budget.try_add(800, 80));
        assert!(!budget.try_add(1, 80));
        assert!(budget.try_add(200, 100));
        assert!(!budget.try_add(1, 100));
        assert!(!budget.try_add(usize::MAX, 100));
        budget.remove(200);
        let mut held = budget.none();
        assert!(held.try_add(150) && !held.try_add(51) && held.try_add(50));
        assert_eq!(budget.held(), 1_000);
        drop(held);
        assert_eq!(budget.held(), 800);
        assert!(BytesBudget::new(usize::MAX).try_add(usize::MAX, 100), "without a bound");
    }
}
