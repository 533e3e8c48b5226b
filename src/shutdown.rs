//! The one signal that ends everything. Does not know what has to end.

use tokio::sync::watch;

/// Begins the shutdown.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Hears of the shutdown.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and what hears of it.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Begins.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Waits until the shutdown begins; a trigger that is gone has begun it.
    pub async fn begun(&mut self) {
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}
