//! Tasks of one owner, each under a key. Does not know what they do.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::task::{Stopped, TaskHandle, spawn};

/// Tasks that end with this.
pub struct TaskSet<K, T>(FuturesUnordered<KeyedTask<K, T>>);

struct KeyedTask<K, T> {
    key: Option<K>,
    task: TaskHandle<T>,
}

impl<K, T> Default for TaskSet<K, T> {
    fn default() -> Self {
        Self(FuturesUnordered::new())
    }
}

impl<K: Unpin, T: Send + 'static> TaskSet<K, T> {
    /// Begins a task.
    pub fn spawn(&self, key: K, future: impl Future<Output = T> + Send + 'static) {
        self.0.push(KeyedTask { key: Some(key), task: spawn(future) });
    }

    /// How many tasks have not been joined yet.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for a task, and returns what it came to; `None` when there is none.
    pub async fn join_next(&mut self) -> Option<(K, Result<T, Stopped>)> {
        self.0.next().await.flatten()
    }

    /// The same for a task that is done already.
    pub fn try_join_next(&mut self) -> Option<(K, Result<T, Stopped>)> {
        self.join_next().now_or_never().flatten()
    }
}

impl<K: Unpin, T> Future for KeyedTask<K, T> {
    type Output = Option<(K, Result<T, Stopped>)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let done = std::task::ready!(Pin::new(&mut self.task).poll(context));
        Poll::Ready(self.key.take().map(|key| (key, done)))
    }
}

impl<K, T> Drop for KeyedTask<K, T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
