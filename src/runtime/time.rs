//! Time that passes: sleeping, time limits and ticks. Does not know what time it is.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::simulation::simulation;

/// A time limit was reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for some time, which begins when this is first polled.
pub async fn sleep(span: Duration) {
    match simulation() {
        None => tokio::time::sleep(span).await,
        Some(simulation) => simulation.sleep(span).await,
    }
}

/// What a future comes to within some time.
///
/// # Errors
///
/// When it takes longer; then it is dropped.
pub async fn timeout<T>(span: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let (mut future, mut limit) = (pin!(future), pin!(sleep(span)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => limit.as_mut().poll(context).map(|()| Err(Elapsed)),
    })
    .await
}

/// Ticks at once, and then again and again; a tick that comes late delays those after it.
pub struct Ticks {
    interval: Duration,
    next: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Ticks {
    /// Ticks with so much time between them.
    pub fn new(interval: Duration) -> Self {
        Self { interval, next: Box::pin(std::future::ready(())) }
    }

    /// Waits for the next tick; one that was not waited for to its end is not lost.
    pub async fn tick(&mut self) {
        self.next.as_mut().await;
        self.next = Box::pin(sleep(self.interval));
    }
}
