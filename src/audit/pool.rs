//! The pool of writer threads, and how a batch reaches one. While the circuit breaker is open it hands out no thread, so that
//! no job is leased: an instance that reaches the database may write it instead. Does not know Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::error;

use crate::runtime;
use crate::supervision::{Supervisor, Task, TaskExit};

use super::assignment::{Assignment, BatchReport};
use super::database_breaker::DatabaseBreaker;
use super::inbox::{self, InboxSender};
use super::leased_batch::LeasedBatch;
use super::sink::Sinks;
use super::writer_thread::WriterThread;

/// Threads, and the way to them.
pub(super) struct Pool {
    threads: IdleThreads,
    idle: Arc<Semaphore>,
    /// How many processors wait for a thread.
    waiting: AtomicUsize,
    breaker: Arc<DatabaseBreaker>,
}

/// The inboxes of threads that are idle. The one that was busy last is taken first: each keeps the memory of the longest
/// batch that it has had.
type IdleThreads = Arc<Mutex<Vec<InboxSender>>>;

/// A thread that is reserved for one processor until this is dropped.
pub(super) struct IdleThread {
    /// There until it is given back.
    inbox: Option<InboxSender>,
    threads: IdleThreads,
    _permit: OwnedSemaphorePermit,
}

impl IdleThread {
    /// Assigns it a batch, whose outcome goes to `reports`.
    pub(super) fn assign(&mut self, batch: LeasedBatch, reports: mpsc::UnboundedSender<BatchReport>) {
        let assignment = Assignment::new(batch, reports);
        let refused = match &self.inbox {
            Some(inbox) => inbox.try_send(assignment).err(),
            None => Some(assignment),
        };
        // The inbox has room for one, and the thread lives as long as its inbox: this cannot be.
        if refused.is_some() {
            error!("a thread that writes the audit does not take a batch");
        }
    }
}

impl Drop for IdleThread {
    fn drop(&mut self) {
        self.threads.lock().extend(self.inbox.take());
    }
}

/// Counts one processor that waits, until dropped.
struct WaitingProcessor<'p>(&'p AtomicUsize);

impl<'p> WaitingProcessor<'p> {
    fn new(count: &'p AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for WaitingProcessor<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// Starts a thread for each sink.
    pub(super) fn start(sinks: Sinks, supervisor: Supervisor) -> std::io::Result<Self> {
        let Sinks { sinks, idle_timeout } = sinks;
        let (idle, breaker) = (Arc::new(Semaphore::new(sinks.len())), Arc::new(DatabaseBreaker::new()));
        let mut threads = Vec::with_capacity(sinks.len());
        for (number, sink) in sinks.into_iter().enumerate() {
            let (sender, inbox) = inbox::inbox();
            let thread = WriterThread::new(sink, idle_timeout, inbox, Arc::clone(&breaker), supervisor.clone());
            keep(thread, number, &supervisor)?;
            threads.push(sender);
        }
        Ok(Self { threads: Arc::new(Mutex::new(threads)), idle, waiting: AtomicUsize::new(0), breaker })
    }

    /// Waits for an idle thread, in turn, and for the circuit breaker to be closed.
    pub(super) async fn idle_thread(&self) -> IdleThread {
        let _waiting = WaitingProcessor::new(&self.waiting);
        loop {
            self.breaker.wait_until_closed().await;
            let Ok(permit) = Arc::clone(&self.idle).acquire_owned().await else {
                // Nobody closes it.
                return std::future::pending().await;
            };
            if self.breaker.is_closed() {
                let inbox = self.threads.lock().pop();
                return IdleThread { inbox, threads: Arc::clone(&self.threads), _permit: permit };
            }
        }
    }

    /// Whether a processor waits for a thread.
    pub(super) fn has_waiting_processors(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Why the database is unavailable, if it is.
    pub(super) fn unavailable(&self) -> Option<String> {
        self.breaker.unavailable()
    }

    /// Threads that wait for the database release their batches.
    pub(super) fn stop(&self) {
        self.breaker.stop();
    }
}

/// Keeps a thread running; within a simulation as a task.
fn keep(mut thread: WriterThread, number: usize, supervisor: &Supervisor) -> std::io::Result<()> {
    let task = Task::auxiliary("audit_writer");
    if runtime::simulation().is_none() {
        return supervisor.keep_thread(task, format!("writer-{number}"), move || {
            thread.run();
            TaskExit::Done
        });
    }
    let thread = Arc::new(AsyncMutex::new(thread));
    supervisor.spawn_kept(task, move || {
        let thread = Arc::clone(&thread);
        async move {
            thread.lock().await.run_simulated().await;
            TaskExit::Done
        }
    });
    Ok(())
}
