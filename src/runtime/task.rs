//! Tasks: futures that run by themselves. Does not know who keeps them running.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{AbortHandle, Abortable};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::simulation::simulation;

/// A task that runs until it is done, or aborted; awaiting it gives what it came to. Dropping this leaves it running.
pub struct TaskHandle<T>(HandleKind<T>);

enum HandleKind<T> {
    Tokio(JoinHandle<T>),
    Simulated(AbortHandle, oneshot::Receiver<T>),
}

/// A task that was aborted, or has panicked, or whose runtime has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Begins a task.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> TaskHandle<T> {
    let Some(simulation) = simulation() else { return TaskHandle(HandleKind::Tokio(tokio::spawn(future))) };
    let (done, result) = oneshot::channel();
    let (abort, registration) = AbortHandle::new_pair();
    let run = async move {
        // Perhaps nobody waits for it.
        let _ = done.send(future.await);
    };
    simulation.spawn(Box::pin(async move {
        let _ = Abortable::new(run, registration).await;
    }));
    TaskHandle(HandleKind::Simulated(abort, result))
}

impl<T> TaskHandle<T> {
    /// Drops its future where it stands.
    pub fn abort(&self) {
        match &self.0 {
            HandleKind::Tokio(handle) => handle.abort(),
            HandleKind::Simulated(handle, _) => handle.abort(),
        }
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, Stopped>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            HandleKind::Tokio(handle) => Pin::new(handle).poll(context).map_err(|_| Stopped),
            HandleKind::Simulated(_, result) => Pin::new(result).poll(context).map_err(|_| Stopped),
        }
    }
}
