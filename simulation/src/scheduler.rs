//! A scheduler that a seed repeats: which of the tasks that could go on does so next is thrown, and time passes only when
//! none can. Everything runs on the caller's thread. Does not know what tasks do.
//!
//! Tasks belong to processes; a process that is killed loses them where they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::dice::Dice;

/// Runs tasks. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Scheduler(Arc<Mutex<State>>);

/// A group of tasks that live and die together.
#[derive(Clone)]
pub struct Process {
    id: u64,
    scheduler: Scheduler,
}

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct State {
    /// Since the run began.
    now: Duration,
    dice: Dice,
    tasks: BTreeMap<u64, Task>,
    /// Tasks that can go on.
    ready: BTreeSet<u64>,
    /// Processes that are halted, and those of their tasks that could go on.
    halted: BTreeMap<u64, BTreeSet<u64>>,
    /// Who is woken when, in the order in which they began to wait.
    timers: BTreeMap<(Duration, u64), Waker>,
    /// The next name of a task, a timer or a process.
    next_id: u64,
}

struct Task {
    process: u64,
    /// `None` while it runs.
    future: Option<TaskFuture>,
}

impl Scheduler {
    /// One for a seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            now: Duration::ZERO,
            dice: Dice::new(seed),
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            halted: BTreeMap::new(),
            timers: BTreeMap::new(),
            next_id: 0,
        })))
    }

    /// How much time has passed since the run began.
    pub fn now(&self) -> Duration {
        self.state().now
    }

    /// Dice for a part of the run.
    pub fn dice(&self) -> Dice {
        self.state().dice.split()
    }

    /// A process without tasks.
    pub fn process(&self) -> Process {
        Process { id: self.state().take_id(), scheduler: self.clone() }
    }

    /// Waits for some time.
    pub fn sleep(&self, span: Duration) -> Sleep {
        Sleep { until: self.now().saturating_add(span), timer: None, scheduler: self.clone() }
    }

    /// Runs tasks until some time has passed, or none is left that will ever go on.
    pub fn run_for(&self, span: Duration) {
        self.run_with(span, || {});
    }

    /// The same; whenever no task can go on `others` lets those that somebody else runs do so.
    pub fn run_with(&self, span: Duration, mut others: impl FnMut()) {
        let end = self.now() + span;
        loop {
            while self.step() {}
            others();
            let has_ready = !self.state().ready.is_empty();
            if !has_ready && !self.pass_time(end) {
                break;
            }
        }
        let mut state = self.state();
        state.now = state.now.max(end);
    }

    /// Lets time pass until a task can go on, though not beyond `end`; `false` when there is none.
    fn pass_time(&self, end: Duration) -> bool {
        // A waker locks the state itself.
        let next = self.state().take_next_timer(end);
        next.map(Waker::wake).is_some()
    }

    /// Lets one task go on; `false` when none can.
    fn step(&self) -> bool {
        let mut state = self.state();
        let Some(id) = state.take_ready() else { return false };
        let Some(mut future) = state.tasks.get_mut(&id).and_then(|task| task.future.take()) else { return true };
        drop(state);
        let waker = Waker::from(Arc::new(TaskWaker { id, scheduler: Arc::downgrade(&self.0) }));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = self.state();
        // It is not there when it killed its own process; then it ends here.
        let over = match (state.tasks.get_mut(&id), polled) {
            (Some(task), Poll::Pending) => {
                task.future = Some(future);
                None
            }
            (Some(_), Poll::Ready(())) => state.tasks.remove(&id).map(|_| future),
            (None, _) => Some(future),
        };
        // What is dropped may wake others.
        drop(state);
        drop(over);
        true
    }

    fn spawn(&self, process: u64, future: TaskFuture) {
        let mut state = self.state();
        let id = state.take_id();
        state.tasks.insert(id, Task { process, future: Some(future) });
        state.set_ready(id);
    }

    fn kill(&self, process: u64) {
        let gone: Vec<_> = {
            let mut state = self.state();
            state.halted.remove(&process);
            state.tasks.extract_if(.., |_, task| task.process == process).collect()
        };
        // Outside of the lock: what is dropped may wake others.
        drop(gone);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A task can go on, once its process does.
    fn set_ready(&mut self, id: u64) {
        let Some(task) = self.tasks.get(&id) else { return };
        self.halted.get_mut(&task.process).unwrap_or(&mut self.ready).insert(id);
    }

    /// One of the tasks that can go on.
    fn take_ready(&mut self) -> Option<u64> {
        let count = u64::try_from(self.ready.len()).ok().filter(|&count| count > 0)?;
        let index = usize::try_from(self.dice.below(count)).ok()?;
        let id = self.ready.iter().nth(index).copied()?;
        self.ready.remove(&id);
        Some(id)
    }

    /// Lets time pass until the next timer; returns who waits for it.
    fn take_next_timer(&mut self, end: Duration) -> Option<Waker> {
        let entry = self.timers.first_entry().filter(|entry| entry.key().0 <= end)?;
        self.now = self.now.max(entry.key().0);
        Some(entry.remove())
    }
}

impl Process {
    /// Begins a task.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.scheduler.spawn(self.id, Box::pin(future));
    }

    /// Halts all its tasks until it is resumed.
    pub fn halt(&self) {
        let mut state = self.scheduler.state();
        let state = &mut *state;
        let own = |id: &u64| state.tasks.get(id).is_some_and(|task| task.process == self.id);
        let halted: BTreeSet<_> = state.ready.extract_if(.., own).collect();
        state.halted.entry(self.id).or_default().extend(halted);
    }

    /// Lets its tasks go on.
    pub fn resume(&self) {
        let mut state = self.scheduler.state();
        let halted = state.halted.remove(&self.id).unwrap_or_default();
        state.ready.extend(halted);
    }

    /// Ends all its tasks where they stand.
    pub fn kill(&self) {
        self.scheduler.kill(self.id);
    }
}

struct TaskWaker {
    id: u64,
    scheduler: Weak<Mutex<State>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let Some(state) = self.scheduler.upgrade() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.set_ready(self.id);
    }
}

/// Waits until some time has passed.
pub struct Sleep {
    until: Duration,
    /// Its name among the timers, once it waits.
    timer: Option<u64>,
    scheduler: Scheduler,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let scheduler = self.scheduler.clone();
        let mut state = scheduler.state();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let timer = *self.timer.get_or_insert_with(|| state.take_id());
        state.timers.insert((self.until, timer), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.scheduler.state().timers.remove(&(self.until, timer));
        }
    }
}

#[cfg(test)]
mod tests;
