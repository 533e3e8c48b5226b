//! The circuit breaker of the audit's database, shared by all writer threads: while it is open, no jobs are fetched and each
//! thread probes the database with backoff; the first success closes it. Also counts the threads' connections. Does not know
//! how the database is reached.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::runtime;

use super::backoff::database_pause;

/// Connections that stay open although no thread uses them.
const CONNECTIONS_MIN: usize = 2;

/// What the threads know of the database.
pub(super) struct DatabaseBreaker {
    state: Mutex<DatabaseState>,
    changed: Condvar,
    /// Whether jobs may be fetched.
    is_closed: watch::Sender<bool>,
    /// Threads that are connected.
    connections: AtomicUsize,
}

#[derive(Default)]
struct DatabaseState {
    is_stopping: bool,
    /// Failures since the last success.
    failures: u32,
    /// Why the database is unavailable.
    unavailable: Option<String>,
    /// Committed transactions and successful probes.
    successes: u64,
}

impl DatabaseBreaker {
    /// A closed one.
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            is_closed: watch::Sender::new(true),
            connections: AtomicUsize::new(0),
        }
    }

    /// Whether jobs may be fetched.
    pub(super) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// Waits until jobs may be fetched.
    pub(super) async fn wait_until_closed(&self) {
        // The sender lives as long as this.
        let _ = self.is_closed.subscribe().wait_for(|is_closed| *is_closed).await;
    }

    /// How long until the next probe; `None` when the breaker is closed or the pool stops.
    pub(super) fn probe_pause(&self) -> Option<Duration> {
        let state = self.state.lock();
        let wants_probe = !state.is_stopping && !self.is_closed();
        wants_probe.then(|| database_pause(state.failures))
    }

    /// Counts one connection more, or one less.
    pub(super) fn count_connection(&self, is_connected: bool) {
        match is_connected {
            true => self.connections.fetch_add(1, Ordering::Relaxed),
            false => self.connections.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Gives an idle connection up, unless it is one of the last; returns whether it did.
    pub(super) fn release_connection(&self) -> bool {
        let one_less = |count| (count > CONNECTIONS_MIN).then(|| count - 1);
        self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// How often the database has answered well.
    pub(super) fn successes(&self) -> u64 {
        self.state.lock().successes
    }

    /// Why the database is unavailable, if it is.
    pub(super) fn unavailable(&self) -> Option<String> {
        self.state.lock().unavailable.clone()
    }

    /// Whether the pool stops.
    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    /// Wakes all threads that wait for the database: the pool stops.
    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
    }

    /// The database answers: closes the breaker.
    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock();
        state.successes += 1;
        state.failures = 0;
        if state.unavailable.take().is_some() {
            info!("the audit's database answers again");
            self.changed.notify_all();
        }
        self.is_closed.send_if_modified(|is_closed| !std::mem::replace(is_closed, true));
    }

    /// The database is unavailable from here: opens the breaker.
    pub(super) fn failed(&self, why: &str) {
        let mut state = self.state.lock();
        state.fail(why);
        self.is_closed.send_replace(false);
    }

    /// Backs off with a batch in hand, until another thread succeeds at the latest; `None` when the pool stops.
    pub(super) fn back_off(&self, why: &str) -> Option<()> {
        let mut state = self.state.lock();
        state.fail(why);
        let pause = database_pause(state.failures);
        // A simulation has no thread that could wait.
        if !state.is_stopping && runtime::simulation().is_none() {
            self.changed.wait_for(&mut state, pause);
        }
        (!state.is_stopping).then_some(())
    }
}

impl DatabaseState {
    fn fail(&mut self, why: &str) {
        if self.unavailable.is_none() {
            warn!(why, "the audit's database is away: changes wait in the queue");
        } else if self.failures.is_power_of_two() {
            error!(why, failures = self.failures, "the audit's database is still away");
        }
        self.unavailable = Some(why.to_owned());
        self.failures = self.failures.saturating_add(1);
    }
}
