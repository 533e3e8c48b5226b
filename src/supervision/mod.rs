//! The supervisor of all tasks. A task that must run for ever is restarted with backoff when it ends or panics, and readiness
//! names it meanwhile; the panic of a short-lived task harms that one only. Every failure is logged and counted. Only this
//! file spawns, by `runtime`: tests/tidy.rs holds this. Does not know what the tasks do.
//!
//! A caught panic leaves nothing broken behind: the task's own state is dropped with it, and shared state stands behind
//! locks that do not poison, each of which is held only by code that decides before it changes anything.

mod backoff;
mod injected;
mod panics;

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tracing::{error, info};

use crate::clock::{Clock, Moment};
use crate::runtime::{self, time};

use backoff::{Backoff, Restart};

pub use injected::{panic_point, stall_point};
pub use panics::{Panicked, log_panics};

/// Failures in a row of an essential task after which the server is not ready.
const FAILURES_MAX: u32 = 3;

/// A task that must run for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name in logs, metrics and readiness.
    pub name: &'static str,
    /// What it means that it has failed.
    pub loss: Loss,
}

/// What it means that a task has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The server serves, although not as it should.
    Impairs,
    /// The server cannot serve.
    Disables,
    /// The server has to end: what the task knew is gone with it.
    Ends,
}

impl Task {
    /// A task without which the server cannot serve.
    pub const fn essential(name: &'static str) -> Self {
        Self { name, loss: Loss::Disables }
    }

    /// A task without which the server serves, although not as it should.
    pub const fn auxiliary(name: &'static str) -> Self {
        Self { name, loss: Loss::Impairs }
    }

    /// A task that cannot be begun anew.
    pub const fn irreplaceable(name: &'static str) -> Self {
        Self { name, loss: Loss::Ends }
    }
}

/// How a task that must run for ever has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskExit {
    /// As it should: nobody needs it any more.
    Done,
    /// It failed, and is restarted.
    Failed(String),
    /// It failed and cannot be restarted: the server ends.
    Fatal(String),
}

impl From<()> for TaskExit {
    /// What returns nothing was not meant to return.
    fn from((): ()) -> Self {
        TaskExit::Failed("it has ended".to_owned())
    }
}

impl From<Panicked> for TaskExit {
    fn from(Panicked(why): Panicked) -> Self {
        TaskExit::Failed(why)
    }
}

/// A task that has failed and has not yet proved well since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// What it is.
    pub task: Task,
    /// How often it has failed in a row.
    pub failures: u32,
    /// Why it failed last.
    pub why: String,
}

impl TaskFailure {
    /// Whether the server cannot serve because of it.
    pub fn is_grave(&self) -> bool {
        match self.task.loss {
            Loss::Impairs => false,
            Loss::Disables => self.failures >= FAILURES_MAX,
            Loss::Ends => true,
        }
    }
}

/// Spawns tasks and sees to their ends. Cloning shares what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Supervisor(Arc<SupervisorState>);

#[derive(Debug)]
struct SupervisorState {
    clock: Clock,
    failures: Family<FailureLabels, Counter>,
    troubles: Mutex<RecentFailures>,
    /// A task has failed that cannot be restarted.
    has_fatal_failure: watch::Sender<bool>,
}

impl Default for SupervisorState {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            failures: Family::default(),
            troubles: Mutex::default(),
            has_fatal_failure: watch::Sender::new(false),
        }
    }
}

/// Tasks that have failed, by their keepers' numbers; each until the moment at which it counts as well again.
#[derive(Debug, Default)]
struct RecentFailures {
    next: u64,
    known: BTreeMap<u64, (TaskFailure, Moment)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    task: &'static str,
}

impl Supervisor {
    /// One whose counts `registry` shows.
    pub fn register(registry: &mut Registry) -> Self {
        let supervisor = Self::default();
        let help = "Tasks of the server's own, and commands and messages, that met a fault of ours";
        registry.register("synckairos_task_failures", help, supervisor.0.failures.clone());
        supervisor
    }

    /// Keeps a task running for as long as this is polled: what `make` returns, again and again. Ends when the task is
    /// done, or is hopeless.
    pub fn keep<E: Into<TaskExit>, F: Future<Output = E> + Send, M: FnMut() -> F + Send>(
        &self,
        task: Task,
        mut make: M,
    ) -> impl Future<Output = ()> + Send + use<E, F, M> {
        let mut keeper = TaskKeeper::new(self.clone(), task);
        async move {
            loop {
                let run = AssertUnwindSafe(async { make().await.into() }).catch_unwind().await;
                match keeper.ended(run.unwrap_or_else(|payload| Panicked::from(payload).into())) {
                    Some(pause) => time::sleep(pause).await,
                    None => return,
                }
                keeper.restarts();
            }
        }
    }

    /// The same, as a task of the runtime's.
    pub fn spawn_kept<E: Into<TaskExit> + Send + 'static, F: Future<Output = E> + Send + 'static>(
        &self,
        task: Task,
        make: impl FnMut() -> F + Send + 'static,
    ) -> runtime::TaskHandle<()> {
        runtime::spawn(self.keep(task, make))
    }

    /// The same, as a thread of the system's.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn keep_thread<E: Into<TaskExit>>(
        &self,
        task: Task,
        name: String,
        mut run: impl FnMut() -> E + Send + 'static,
    ) -> io::Result<()> {
        let mut keeper = TaskKeeper::new(self.clone(), task);
        let life = move || {
            loop {
                let run = catch_unwind(AssertUnwindSafe(|| run().into()));
                match keeper.ended(run.unwrap_or_else(|payload| Panicked::from(payload).into())) {
                    Some(pause) => thread::sleep(pause),
                    None => return,
                }
                keeper.restarts();
            }
        };
        thread::Builder::new().name(name).spawn(life).map(drop)
    }

    /// Runs something short-lived as a task of the runtime's; its panic harms nothing else.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: &'static str,
        future: impl Future<Output = T> + Send + 'static,
    ) -> runtime::TaskHandle<Result<T, Panicked>> {
        runtime::spawn(self.guarded(task, future))
    }

    /// Runs something that blocks, on a thread that may.
    ///
    /// # Errors
    ///
    /// When it panicked, or the runtime ends.
    pub async fn block<T: Send + 'static>(
        &self,
        task: &'static str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let supervisor = self.clone();
        let done = tokio::task::spawn_blocking(move || supervisor.guard(task, run)).await;
        done.unwrap_or_else(|_| Err(Panicked("the server stops".to_owned())))
    }

    /// What a future comes to, or that it panicked; for a task that outlives whoever spawns it.
    pub fn guarded<T, F: Future<Output = T>>(
        &self,
        task: &'static str,
        future: F,
    ) -> impl Future<Output = Result<T, Panicked>> + use<T, F> {
        let supervisor = self.clone();
        async move { supervisor.contain(task, future).await }
    }

    /// The same for whoever waits for it: nothing is shared with others, so that it costs next to nothing.
    ///
    /// # Errors
    ///
    /// When it panicked.
    pub async fn contain<T>(&self, task: &'static str, future: impl Future<Output = T>) -> Result<T, Panicked> {
        let done = AssertUnwindSafe(future).catch_unwind().await;
        done.map_err(|payload| self.noticed(task, payload.into()))
    }

    /// What a function comes to, or that it panicked.
    ///
    /// # Errors
    ///
    /// When it panicked.
    pub fn guard<T>(&self, task: &'static str, run: impl FnOnce() -> T) -> Result<T, Panicked> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|payload| self.noticed(task, payload.into()))
    }

    /// Takes down that something short-lived has panicked.
    fn noticed(&self, task: &'static str, panicked: Panicked) -> Panicked {
        self.count(task);
        error!(task, why = panicked.0, "a task met a fault of ours: it is given up");
        panicked
    }

    fn count(&self, task: &'static str) {
        self.0.failures.get_or_create(&FailureLabels { task }).inc();
    }

    /// The tasks that have failed and have not yet proved well since.
    pub fn troubles(&self) -> Vec<TaskFailure> {
        let now = self.0.clock.moment();
        let troubles = self.0.troubles.lock();
        troubles.known.values().filter(|(_, until)| now < *until).map(|(trouble, _)| trouble.clone()).collect()
    }

    /// Waits until a task has failed that cannot be restarted.
    pub async fn fatal_failure(&self) {
        // The sender lives as long as this.
        let _ = self.0.has_fatal_failure.subscribe().wait_for(|has_fatal_failure| *has_fatal_failure).await;
    }
}

/// Restarts one task. Its recent failures are forgotten with it.
struct TaskKeeper {
    supervisor: Supervisor,
    task: Task,
    number: u64,
    backoff: Backoff,
}

impl TaskKeeper {
    fn new(supervisor: Supervisor, task: Task) -> Self {
        let number = {
            let mut troubles = supervisor.0.troubles.lock();
            troubles.next += 1;
            troubles.next
        };
        // What has never failed is counted, too.
        drop(supervisor.0.failures.get_or_create(&FailureLabels { task: task.name }));
        Self { supervisor, task, number, backoff: Backoff::default() }
    }

    /// How long until the task is restarted; `None` when it is not.
    fn ended(&mut self, ending: TaskExit) -> Option<std::time::Duration> {
        let known = &self.supervisor.0;
        let task = self.task.name;
        let ending = match (ending, self.task.loss) {
            (TaskExit::Failed(why), Loss::Ends) => TaskExit::Fatal(why),
            (ending, Loss::Impairs | Loss::Disables | Loss::Ends) => ending,
        };
        match ending {
            TaskExit::Done => None,
            TaskExit::Fatal(why) => {
                self.supervisor.count(task);
                error!(task, why, "a task has failed and cannot be begun anew: the server ends");
                known.has_fatal_failure.send_replace(true);
                None
            }
            TaskExit::Failed(why) => {
                self.supervisor.count(task);
                let now = known.clock.moment();
                let Restart { failures, pause, proof } = self.backoff.fail(now);
                let pause_ms = pause.as_millis() as u64;
                error!(task, why, failures, pause_ms, "a task has failed: it is begun anew");
                let trouble = TaskFailure { task: self.task, failures, why };
                known.troubles.lock().known.insert(self.number, (trouble, now + pause + proof));
                Some(pause)
            }
        }
    }

    fn restarts(&mut self) {
        self.backoff.begin(self.supervisor.0.clock.moment());
        info!(task = self.task.name, "a task is begun anew");
    }
}

impl Drop for TaskKeeper {
    fn drop(&mut self) {
        self.supervisor.0.troubles.lock().known.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
