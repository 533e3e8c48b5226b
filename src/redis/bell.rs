//! Rung by whoever puts something into a queue, heard by whoever takes it out again in the same process, so that it
//! need not look all the time. Does not know what is queued, nor who else puts something there.

use std::sync::Arc;

use tokio::sync::Notify;

/// A bell. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Something was queued.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it is rung, or has been since this was waited for last.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}
