//! The byte budget of all outboxes together. What many clients share counts once. Does not know who waits for what, nor what
//! becomes of a client when the budget is exceeded.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;

/// The bytes that wait, and how many may.
#[derive(Debug)]
pub(super) struct OutboxBudget {
    bytes_max: u64,
    used: Gauge,
}

impl OutboxBudget {
    /// A budget of so many bytes; `used` shows how many wait.
    pub(super) fn new(bytes_max: u64, used: Gauge) -> Arc<Self> {
        Arc::new(Self { bytes_max, used })
    }

    /// Whether more waits than may.
    pub(super) fn is_exceeded(&self) -> bool {
        u64::try_from(self.used.get()).unwrap_or(0) > self.bytes_max
    }

    /// So many bytes more wait, or fewer.
    pub(super) fn add(&self, bytes: i64) {
        self.used.inc_by(bytes);
    }
}

/// A message for one client or many. Cloning shares it, and its bytes count until the last clone is gone.
#[derive(Clone, Debug)]
pub(super) struct QueuedMessage(Arc<CountedBytes>);

#[derive(Debug)]
struct CountedBytes {
    json: Bytes,
    budget: Arc<OutboxBudget>,
}

impl QueuedMessage {
    /// A message, which is JSON.
    pub(super) fn new(json: Bytes, budget: &Arc<OutboxBudget>) -> Self {
        budget.add(len(&json));
        Self(Arc::new(CountedBytes { json, budget: Arc::clone(budget) }))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.json
    }
}

impl Drop for CountedBytes {
    fn drop(&mut self) {
        self.budget.add(-len(&self.json));
    }
}

fn len(json: &Bytes) -> i64 {
    i64::try_from(json.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prometheus_client::metrics::gauge::Gauge;

    use super::{OutboxBudget, QueuedMessage};

    #[test]
    fn what_many_share_counts_once_and_until_the_last_of_them_has_it() {
        let used = Gauge::default();
        let budget = OutboxBudget::new(5, used.clone());
        let message = QueuedMessage::new(Bytes::from_static(b"12345"), &budget);
        let clones = vec![message; 100];
        assert_eq!((used.get(), budget.is_exceeded()), (5, false));
        let other = QueuedMessage::new(Bytes::from_static(b"1"), &budget);
        assert_eq!((used.get(), budget.is_exceeded()), (6, true));
        drop(clones);
        assert_eq!((used.get(), budget.is_exceeded()), (1, false));
        assert_eq!(other.bytes(), b"1");
    }
}
