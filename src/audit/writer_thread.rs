//! One thread that writes batches into a sink, and probes the database while the circuit breaker is open. Does not know which
//! job of a batch fails (`poison_jobs.rs`), nor Redis.

use std::sync::Arc;
use std::time::Duration;

use crate::runtime::time::{self, Elapsed};
use crate::supervision::{Supervisor, panic_point};
use crossbeam_channel::RecvTimeoutError;

use super::assignment::Assignment;
use super::database_breaker::DatabaseBreaker;
use super::inbox::Inbox;
use super::sink::Sink;

/// A thread, which ends with the pool.
pub(super) struct WriterThread {
    pub(super) sink: Box<dyn Sink>,
    /// How long it may be idle until it gives its connection up, if there are enough others.
    idle_timeout: Duration,
    inbox: Inbox,
    is_connected: bool,
    /// It probes the database for as long as the breaker is open.
    is_probing: bool,
    pub(super) breaker: Arc<DatabaseBreaker>,
    pub(super) supervisor: Supervisor,
}

impl WriterThread {
    /// A thread that is not connected yet.
    pub(super) fn new(
        sink: Box<dyn Sink>,
        idle_timeout: Duration,
        inbox: Inbox,
        breaker: Arc<DatabaseBreaker>,
        supervisor: Supervisor,
    ) -> Self {
        Self { sink, idle_timeout, inbox, is_connected: false, is_probing: false, breaker, supervisor }
    }

    /// Writes batches until the pool ends.
    pub(super) fn run(&mut self) {
        loop {
            let patience = self.patience();
            match self.inbox.recv_timeout(patience) {
                Ok(assignment) => self.take(assignment),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The same as a task, where a simulation has no threads.
    pub(super) async fn run_simulated(&mut self) {
        loop {
            let patience = self.patience();
            match time::timeout(patience, self.inbox.recv()).await {
                Ok(Some(assignment)) => self.take(assignment),
                Ok(None) => return,
                Err(Elapsed) => self.idle(),
            }
        }
    }

    /// How long to wait for a batch before it has something else to do.
    fn patience(&mut self) -> Duration {
        let probe_pause = if self.is_probing { self.breaker.probe_pause() } else { None };
        self.is_probing = probe_pause.is_some();
        probe_pause.unwrap_or(self.idle_timeout)
    }

    /// Writes a batch, unless it waits for the database, and reports it.
    fn take(&mut self, mut assignment: Assignment) {
        if self.is_probing && !self.breaker.is_closed() {
            // Released: another instance gets it.
            return;
        }
        panic_point("audit_writer", "");
        assignment.outcomes = self.write(&assignment.batch);
        self.is_probing = true;
    }

    /// Nothing was assigned for a while: probes the database, or gives the connection up.
    fn idle(&mut self) {
        if !self.is_probing {
            if self.is_connected && self.breaker.release_connection() {
                self.is_connected = false;
                self.sink.disconnect();
            }
            return;
        }
        match self.sink.probe() {
            Ok(()) => {
                self.set_connected(true);
                self.breaker.succeeded();
            }
            Err(error) => {
                self.set_connected(false);
                self.breaker.failed(error.why());
            }
        }
    }

    pub(super) fn set_connected(&mut self, is_connected: bool) {
        if is_connected != self.is_connected {
            self.is_connected = is_connected;
            self.breaker.count_connection(is_connected);
        }
    }
}
