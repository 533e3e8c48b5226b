//! The tasks of a shard, kept running by the supervisor: a task that ended is restarted, and goes on with what waits
//! for it. Does not know what the tasks do.

use std::sync::Arc;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc};

use crate::store::{Lifetimes, Listener};
use crate::supervision::{Supervisor, Task, TaskExit};

use super::commit::{CommitContext, Committer, PendingCommit};
use super::connection::Connector;
use super::read::{self, Lookup, ReaderPool};
use super::subscriptions::{SubscriptionRequest, WatchedSessions};

/// Commands and reads that may wait for each connection; one more is refused.
const WAITING_MAX: usize = 4_096;

/// Commands that wait for a committer, or lookups for a reader. A task that is restarted goes on with them.
fn inbox<T>() -> (mpsc::Sender<T>, Arc<AsyncMutex<mpsc::Receiver<T>>>) {
    let (sender, inbox) = mpsc::channel(WAITING_MAX);
    (sender, Arc::new(AsyncMutex::new(inbox)))
}

async fn opened<T>(inbox: Arc<AsyncMutex<T>>) -> OwnedMutexGuard<T> {
    inbox.lock_owned().await
}

/// The committers; each has a queue.
pub(super) fn spawn_committers(
    supervisor: &Supervisor,
    context: &Arc<CommitContext>,
    connector: &Arc<Connector>,
    count: usize,
    count_all: usize,
) -> Box<[mpsc::Sender<PendingCommit>]> {
    let spawn = |_| {
        let (sender, inbox) = inbox();
        let (context, connector) = (Arc::clone(context), Arc::clone(connector));
        supervisor.spawn_kept(Task::essential("committer"), move || {
            let (context, connector, inbox) = (Arc::clone(&context), Arc::clone(&connector), Arc::clone(&inbox));
            async move {
                Committer::new(context, connector, opened(inbox).await, count_all).run().await;
                TaskExit::Done
            }
        });
        sender
    };
    (0..count).map(spawn).collect()
}

/// The readers; each has a queue.
pub(super) fn spawn_readers(
    supervisor: &Supervisor,
    connector: &Arc<Connector>,
    count: usize,
    count_all: usize,
) -> Arc<[mpsc::Sender<Lookup>]> {
    let spawn = |_| {
        let (sender, inbox) = inbox();
        let connector = Arc::clone(connector);
        supervisor.spawn_kept(Task::essential("reader"), move || {
            let (connector, inbox) = (Arc::clone(&connector), Arc::clone(&inbox));
            async move {
                read::serve(connector, opened(inbox).await, count_all).await;
                TaskExit::Done
            }
        });
        sender
    };
    (0..count).map(spawn).collect()
}

/// The subscriptions.
pub(super) fn spawn_subscriptions(
    supervisor: &Supervisor,
    connector: &Arc<Connector>,
    lifetimes: Lifetimes,
    listener: Arc<dyn Listener>,
    readers: ReaderPool,
) -> mpsc::UnboundedSender<SubscriptionRequest> {
    let (sender, inbox) = mpsc::unbounded_channel();
    let requests = sender.downgrade();
    let watched = WatchedSessions::new(Arc::clone(connector), lifetimes, listener, readers, requests, inbox);
    // A task that is restarted goes on with the same sessions.
    let watched = Arc::new(AsyncMutex::new(watched));
    supervisor.spawn_kept(Task::essential("updates"), move || {
        let watched = Arc::clone(&watched);
        async move {
            watched.lock().await.run().await;
            TaskExit::Done
        }
    });
    sender
}
