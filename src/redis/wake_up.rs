//! Wakes the consumer of a queue in the same process when a producer adds to it, so that the consumer need not poll
//! all the time. Does not know what is queued, nor which other processes add to the queue.

use std::sync::Arc;

use tokio::sync::Notify;

/// A wake-up call between a producer and a consumer. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WakeUp(Arc<Notify>);

impl WakeUp {
    /// Wakes the consumer: something was queued.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits for a notification; returns at once when one came since the last wait.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}
