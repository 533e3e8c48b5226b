//! The one signal that ends everything. Does not know what has to end.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};

use tokio::sync::watch;
use tokio::task::coop::unconstrained;

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
    ///
    /// Who waits for something else besides is woken for that all the time, and must not ask for a lock each time.
    pub async fn begun(&mut self) {
        let signal = self.0.clone();
        // Without a budget: a wait that has none left does not enter itself among those that are woken.
        let mut begun = pin!(unconstrained(self.0.wait_for(|begun| *begun)));
        let mut waiting: Option<Waker> = None;
        poll_fn(|cx| {
            let is_known = waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            if is_known && matches!(signal.has_changed(), Ok(false)) {
                return Poll::Pending;
            }
            waiting = Some(cx.waker().clone());
            begun.as_mut().poll(cx).map(drop)
        })
        .await;
    }
}
