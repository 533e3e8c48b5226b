//! Threads that write batches, each with a sink of its own. Decides whose fault a failure is: a job's, which is
//! then tried again or given up, or the database's, which is then waited for. While it is away from here nothing is held:
//! who can reach it may write instead. Does not know Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tracing::{error, info, warn};

use crate::supervision::{Ending, Supervisor, Task, panic_point};

use super::carried::Carried;
use super::fault;
use super::queue::Batch;
use super::settlement::Fate;
use super::sink::{Sink, Sinks, WriteError};

/// Jobs that fail alone one after the other, for a reason that may not be theirs, until the database is waited for.
const UNCLEAR_MAX: usize = 8;
/// Connections that are kept although nobody uses them.
const CONNECTIONS_MIN: usize = 2;

/// Threads, and the way to them.
pub(super) struct Pool {
    threads: Threads,
    idle: Arc<Semaphore>,
    /// How many wait for a thread.
    waiting: AtomicUsize,
    gate: Arc<Gate>,
}

/// The ways to threads that are idle. The one that was busy last goes first: each keeps memory for the longest batch that it
/// has had.
type Threads = Arc<Mutex<Vec<Sender<Given>>>>;

/// A thread that is kept for somebody until this is dropped.
pub(super) struct Idle {
    /// There until it is given back, unless it has died.
    thread: Option<Sender<Given>>,
    threads: Threads,
    _permit: OwnedSemaphorePermit,
}

impl Idle {
    /// Gives it a batch; what became of that is told there.
    pub(super) fn give(&mut self, batch: Batch, report: mpsc::UnboundedSender<Report>) {
        let given = Given { batch, fates: None, report };
        let refused = match &self.thread {
            Some(thread) => thread.try_send(given).err().map(TrySendError::into_inner),
            None => Some(given),
        };
        // It has room for one, and lives as long as its inbox is kept: this cannot be.
        if refused.is_some() {
            error!("a thread that writes the audit does not take a batch");
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.threads.lock().extend(self.thread.take());
    }
}

/// A batch, and where to tell what became of it; that is told when it is dropped, whatever dropped it.
struct Given {
    batch: Batch,
    fates: Option<Vec<Fate>>,
    report: mpsc::UnboundedSender<Report>,
}

impl Drop for Given {
    fn drop(&mut self) {
        // Whoever does not wait any more loses its lease.
        let _ = self.report.send(Report { batch: self.batch.clone(), fates: self.fates.take() });
    }
}

/// Counts somebody who waits, until dropped.
struct Waiting<'p>(&'p AtomicUsize);

impl<'p> Waiting<'p> {
    fn new(count: &'p AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A batch that is done with.
pub(super) struct Report {
    pub(super) batch: Batch,
    /// What became of each job; `None` when the database is away, or the pool was stopped before: it is given back.
    pub(super) fates: Option<Vec<Fate>>,
}

/// What the threads know of the database, all of them at once.
struct Gate {
    standing: Mutex<Standing>,
    changed: Condvar,
    /// Whether there is a point in taking jobs.
    open: watch::Sender<bool>,
    /// Threads that are connected.
    connections: AtomicUsize,
}

#[derive(Default)]
struct Standing {
    is_stopping: bool,
    /// How often it was away since it answered last.
    failures: u32,
    /// Why it is away.
    away: Option<String>,
    /// Transactions that were committed.
    successes: u64,
}

impl Pool {
    /// A thread for each sink.
    pub(super) fn start(sinks: Sinks, supervisor: Supervisor) -> std::io::Result<Self> {
        let Sinks { sinks, rest_after } = sinks;
        let (idle, gate) = (Arc::new(Semaphore::new(sinks.len())), Arc::new(Gate::new()));
        let mut threads = Vec::with_capacity(sinks.len());
        for (number, sink) in sinks.into_iter().enumerate() {
            // A batch is sent only to a thread that is idle, so that it never waits for long.
            let (way, inbox) = crossbeam_channel::bounded(1);
            let gate = Arc::clone(&gate);
            let own = supervisor.clone();
            let mut thread =
                Thread { sink, rest_after, inbox, given: None, is_connected: false, gate, supervisor: own };
            supervisor.keep_thread(Task::auxiliary("audit_writer"), format!("writer-{number}"), move || {
                thread.run();
                Ending::Done
            })?;
            threads.push(way);
        }
        Ok(Self { threads: Arc::new(Mutex::new(threads)), idle, waiting: AtomicUsize::new(0), gate })
    }

    /// Waits for a thread that is idle, in turn, and for the database to be there.
    pub(super) async fn idle(&self) -> Idle {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            self.gate.opened().await;
            let Ok(permit) = Arc::clone(&self.idle).acquire_owned().await else {
                // Nobody closes it.
                return std::future::pending().await;
            };
            if self.gate.is_open() {
                let thread = self.threads.lock().pop();
                return Idle { thread, threads: Arc::clone(&self.threads), _permit: permit };
            }
        }
    }

    /// Whether somebody waits for a thread.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Why the database is away.
    pub(super) fn away(&self) -> Option<String> {
        self.gate.standing.lock().away.clone()
    }

    /// Whoever waits for the database gives its batch back.
    pub(super) fn stop(&self) {
        self.gate.standing.lock().is_stopping = true;
        self.gate.changed.notify_all();
    }
}

/// One thread. It ends with the pool.
struct Thread {
    sink: Box<dyn Sink>,
    /// How long it may have nothing to do until it lets its connection go, if there are more than [`CONNECTIONS_MIN`].
    rest_after: Duration,
    inbox: Receiver<Given>,
    /// What it was given while it looked for the database, and found it.
    given: Option<Given>,
    is_connected: bool,
    gate: Arc<Gate>,
    supervisor: Supervisor,
}

impl Thread {
    fn run(&mut self) {
        while let Some(mut given) = self.next() {
            panic_point("audit_writer", "");
            given.fates = self.write(&given.batch);
            // What became of it is told.
            drop(given);
            self.look_for_database();
        }
    }

    /// The next batch; `None` when the pool has ended.
    fn next(&mut self) -> Option<Given> {
        if let Some(given) = self.given.take() {
            return Some(given);
        }
        loop {
            match self.inbox.recv_timeout(self.rest_after) {
                Ok(given) => return Some(given),
                Err(RecvTimeoutError::Timeout) => {
                    if self.is_connected && self.gate.may_rest() {
                        self.is_connected = false;
                        self.sink.rest();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Tries until the database can be written, or somebody else finds that it can. Gives back what it is given meanwhile.
    fn look_for_database(&mut self) {
        while let Some(pause) = self.gate.away_pause() {
            match self.inbox.recv_timeout(pause) {
                Ok(given) if self.gate.is_open() => self.given = Some(given),
                // Somebody else gets it.
                Ok(given) => drop(given),
                Err(RecvTimeoutError::Timeout) => match self.sink.probe() {
                    Ok(()) => {
                        self.connected(true);
                        self.gate.succeeded();
                    }
                    Err(error) => {
                        self.connected(false);
                        self.gate.failed(error.why());
                    }
                },
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn connected(&mut self, is_connected: bool) {
        if is_connected != self.is_connected {
            self.is_connected = is_connected;
            self.gate.count(is_connected);
        }
    }

    /// `None` when the database is away, or it was stopped before it knew.
    fn write(&mut self, batch: &Batch) -> Option<Vec<Fate>> {
        let mut may_be_database = batch.jobs.iter().all(|job| job.attempts() == 0);
        loop {
            let before = self.gate.successes();
            let mut tried = Tried { may_be_database, ..Tried::default() };
            self.write_apart(&batch.jobs, &mut tried)?;
            // What fails where others pass is its own fault. Where nothing does it may be the database's.
            let Some(why) =
                tried.unclear.filter(|_| tried.is_given_up || may_be_database && self.gate.successes() == before)
            else {
                return Some(tried.fates);
            };
            let before = self.gate.successes();
            self.gate.wait(&why)?;
            if self.gate.successes() != before {
                if !tried.is_given_up {
                    return Some(tried.fates);
                }
                may_be_database = false;
            }
        }
    }

    /// Jobs together, or else one half after the other, so that one that cannot be written keeps no other from it.
    fn write_apart(&mut self, jobs: &[Carried], tried: &mut Tried) -> Option<()> {
        loop {
            if tried.is_given_up {
                return Some(());
            }
            match self.try_write(jobs) {
                Ok(()) => {
                    tried.fates.extend(jobs.iter().map(|_| Fate::Written));
                    tried.unclear_in_turn = 0;
                }
                Err(WriteError::Away(why)) => {
                    self.gate.failed(&why);
                    return None;
                }
                Err(error) if jobs.len() > 1 => {
                    if let WriteError::Late(why) = error {
                        self.gate.wait(&why)?;
                    } else if self.gate.is_stopping() {
                        return None;
                    }
                    let (first, second) = jobs.split_at(jobs.len() / 2);
                    self.write_apart(first, tried)?;
                    self.write_apart(second, tried)?;
                }
                Err(WriteError::Late(why)) => {
                    self.gate.wait(&why)?;
                    continue;
                }
                Err(WriteError::Never(why)) => tried.fates.push(Fate::Dead(why)),
                Err(WriteError::Job(why) | WriteError::Met(why)) => tried.fates.push(fate(jobs[0].attempts(), why)),
                Err(WriteError::Unclear(why)) => {
                    tried.fates.push(fate(jobs[0].attempts(), why.clone()));
                    tried.unclear = Some(why);
                    tried.unclear_in_turn += 1;
                    tried.is_given_up = tried.may_be_database && tried.unclear_in_turn == UNCLEAR_MAX;
                }
            }
            return Some(());
        }
    }

    fn try_write(&mut self, jobs: &[Carried]) -> Result<(), WriteError> {
        let sink = &mut self.sink;
        let write = || {
            for name in jobs.iter().filter_map(|job| job.name) {
                panic_point("audit_job", name.session);
            }
            let jobs: Vec<_> = jobs.iter().map(Carried::job).collect();
            sink.write(&jobs)
        };
        // A job that meets a fault of ours is found like any other that cannot be written.
        let written = self.supervisor.guard("audit_batch", write);
        let result = written.unwrap_or_else(|panicked| Err(WriteError::Job(format!("a fault of ours: {panicked}"))));
        self.connected(!matches!(result, Err(WriteError::Away(_))));
        if result.is_ok() {
            self.gate.succeeded();
        }
        result
    }
}

/// What became of jobs.
#[derive(Default)]
struct Tried {
    fates: Vec<Fate>,
    /// Why it is not clear whose fault it was that one was not written, if it is not.
    unclear: Option<String>,
    /// So many in turn failed so.
    unclear_in_turn: usize,
    /// Whether that may be the database's fault.
    may_be_database: bool,
    /// So many did that it seems to be; not all were tried.
    is_given_up: bool,
}

fn fate(attempts: u32, why: String) -> Fate {
    match fault::retry_pause(attempts) {
        Some(pause) => Fate::Delayed(pause, why),
        None => Fate::Dead(why),
    }
}

impl Gate {
    fn new() -> Self {
        let (standing, changed) = (Mutex::default(), Condvar::new());
        Self { standing, changed, open: watch::Sender::new(true), connections: AtomicUsize::new(0) }
    }

    fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Waits until there is a point in taking jobs.
    async fn opened(&self) {
        // Its sender is here.
        let _ = self.open.subscribe().wait_for(|is_open| *is_open).await;
    }

    /// How long to leave the database alone; `None` when it is there, or the pool is stopped.
    fn away_pause(&self) -> Option<Duration> {
        let standing = self.standing.lock();
        let is_away = !standing.is_stopping && !self.is_open();
        is_away.then(|| fault::away_pause(standing.failures))
    }

    /// One connection more, or less.
    fn count(&self, is_connected: bool) {
        match is_connected {
            true => self.connections.fetch_add(1, Ordering::Relaxed),
            false => self.connections.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Whether a connection may go; then there is one less.
    fn may_rest(&self) -> bool {
        let one_less = |count| (count > CONNECTIONS_MIN).then(|| count - 1);
        self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    fn successes(&self) -> u64 {
        self.standing.lock().successes
    }

    fn is_stopping(&self) -> bool {
        self.standing.lock().is_stopping
    }

    fn succeeded(&self) {
        let mut standing = self.standing.lock();
        standing.successes += 1;
        standing.failures = 0;
        if standing.away.take().is_some() {
            info!("the audit's database answers again");
            self.changed.notify_all();
        }
        self.open.send_if_modified(|is_open| !std::mem::replace(is_open, true));
    }

    /// The database is away from here: nothing is taken until it is found.
    fn failed(&self, why: &str) {
        let mut standing = self.standing.lock();
        standing.fail(why);
        self.open.send_replace(false);
    }

    /// Waits a while for the database, or until it answers somebody else; `None` when the pool is stopped.
    fn wait(&self, why: &str) -> Option<()> {
        let mut standing = self.standing.lock();
        standing.fail(why);
        let pause = fault::away_pause(standing.failures);
        if !standing.is_stopping {
            self.changed.wait_for(&mut standing, pause);
        }
        (!standing.is_stopping).then_some(())
    }
}

impl Standing {
    fn fail(&mut self, why: &str) {
        if self.away.is_none() {
            warn!(why, "the audit's database is away: changes wait in the queue");
        } else if self.failures.is_power_of_two() {
            error!(why, failures = self.failures, "the audit's database is still away");
        }
        self.away = Some(why.to_owned());
        self.failures = self.failures.saturating_add(1);
    }
}
