//! The one signal that ends everything, and its announcement. Does not know what has to end.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::coop::unconstrained;

/// Begins the shutdown.
#[derive(Debug)]
pub struct Trigger {
    begin: watch::Sender<bool>,
    drain: watch::Sender<Option<Duration>>,
}

/// Notices the shutdown.
#[derive(Clone, Debug)]
pub struct Shutdown {
    begun: watch::Receiver<bool>,
    draining: watch::Receiver<Option<Duration>>,
}

/// A trigger and its receiver.
pub fn channel() -> (Trigger, Shutdown) {
    let (begin, begun) = watch::channel(false);
    let (drain, draining) = watch::channel(None);
    (Trigger { begin, drain }, Shutdown { begun, draining })
}

impl Trigger {
    /// Announces that the shutdown begins after so long: until then everything is served, and clients that can go elsewhere
    /// should.
    pub fn drain(&self, length: Duration) {
        self.drain.send_replace(Some(length));
    }

    /// Begins.
    pub fn begin(&self) {
        self.begin.send_replace(true);
    }
}

impl Shutdown {
    /// Whether the shutdown has begun, or will soon.
    pub fn is_announced(&self) -> bool {
        self.draining.borrow().is_some() || *self.begun.borrow()
    }

    /// Waits until the shutdown is announced, and returns after how long it begins; waits for ever if it never is.
    pub async fn announced(&mut self) -> Duration {
        match self.draining.wait_for(Option::is_some).await.ok().and_then(|length| *length) {
            Some(length) => length,
            None => std::future::pending().await,
        }
    }

    /// Waits until the shutdown begins; a trigger that is gone has begun it.
    ///
    /// A task that also waits for something else is woken for that all the time, and must not take a lock each time.
    pub async fn begun(&mut self) {
        let signal = self.begun.clone();
        // Without a budget: a wait that has none left does not enter itself among those that are woken.
        let mut begun = pin!(unconstrained(self.begun.wait_for(|begun| *begun)));
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
