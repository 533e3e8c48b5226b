//! The one thread that writes the journal into the database: all that waits is one group commit, and its tickets are
//! honoured after it. Does not know who holds the tickets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info};

use crate::clock::Clock;
use crate::store::metrics::{Metrics, Operation};
use crate::supervision::{Task, TaskExit, panic_point, stall_point};

use super::journal::{Journal, JournalEnd, JournalEntry, QueuedEntry};
use super::tables::{Fault, Tables, WriteOp};

/// How long to leave a database alone that could not be written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Starts the thread that writes a journal into `tables`. An answer waits for its write no longer than `patience`.
pub(super) fn start(
    tables: Arc<Tables>,
    clock: Clock,
    patience: Duration,
    metrics: Metrics,
) -> io::Result<Arc<Journal>> {
    let (end, ended) = watch::channel(JournalEnd::Running);
    let journal = Arc::new(Journal::new(patience, metrics, ended));
    let supervisor = journal.metrics.supervisor.clone();
    // Its entries are gone with it: it cannot be restarted.
    let mut writer = Some(JournalWriter { journal: Arc::clone(&journal), tables, clock, end });
    supervisor.keep_thread(Task::irreplaceable("journal"), "journal".to_owned(), move || {
        if let Some(writer) = writer.take() {
            writer.run();
        }
        TaskExit::Done
    })?;
    Ok(journal)
}

/// The thread that owns the database for writing.
struct JournalWriter {
    journal: Arc<Journal>,
    tables: Arc<Tables>,
    clock: Clock,
    end: watch::Sender<JournalEnd>,
}

impl JournalWriter {
    fn run(self) {
        while let Some((entries, last)) = self.take() {
            if !self.write(&entries) {
                self.end.send_replace(JournalEnd::Short);
                return;
            }
            self.journal.written.store(last, Ordering::Release);
            self.journal.queue.lock().bytes -= entries.iter().map(|entry| entry.bytes).sum::<usize>();
            for entry in entries {
                // A caller that does not wait any longer was answered that the outcome is unknown.
                let _ = entry.waiter.send(());
            }
        }
        let closed = self.tables.close();
        if let Err(why) = &closed {
            error!(%why, "the file was not closed in order; nothing is lost");
        }
        self.end.send_replace(JournalEnd::InOrder);
    }

    /// All that waits and the number of the last entry; `None` when no more can come.
    fn take(&self) -> Option<(Vec<QueuedEntry>, u64)> {
        let mut queue = self.journal.queue.lock();
        while queue.entries.is_empty() {
            // Without another owner of the journal no change can come.
            if queue.is_closed || Arc::strong_count(&self.journal) == 1 {
                return None;
            }
            self.journal.moved.wait_for(&mut queue, RETRY_PAUSE);
        }
        Some((std::mem::take(&mut queue.entries), queue.entered))
    }

    /// Writes a group, however many tries it takes; returns whether it is written, which it is unless the journal was
    /// closed.
    fn write(&self, entries: &[QueuedEntry]) -> bool {
        let ops: Vec<_> = entries
            .iter()
            .filter_map(|queued| match &queued.entry {
                JournalEntry::Change(id, change) => Some(WriteOp::Change(*id, change)),
                JournalEntry::Forget(id) => Some(WriteOp::Forget(*id)),
                JournalEntry::Erase(id) => Some(WriteOp::Erase(*id)),
                JournalEntry::Remove(keys) => Some(WriteOp::Remove(keys)),
                JournalEntry::Revoke(revoked, over) => Some(WriteOp::Revoke(revoked, over)),
                JournalEntry::Barrier => None,
            })
            .collect();
        if ops.is_empty() {
            return true;
        }
        panic_point("journal", "");
        stall_point("journal");
        let start = self.clock.moment();
        let mut outcome = self.tables.write(&ops);
        let mut is_last = false;
        while let Err(why) = outcome {
            if is_last {
                let changes = ops.len();
                error!(%why, changes, "stopped with changes that could not be written; none of them was acknowledged");
                return false;
            }
            is_last = self.pause(why);
            outcome = self.tables.reopen().and_then(|()| self.tables.write(&ops));
        }
        if self.journal.queue.lock().fault.take().is_some() {
            info!("the file can be written again");
        }
        self.journal.metrics.round_trip(Operation::Commit, self.clock.moment().since(start));
        true
    }

    /// Refuses new entries and waits a while; returns whether the next try is the last.
    fn pause(&self, why: Fault) -> bool {
        let mut queue = self.journal.queue.lock();
        if queue.fault.is_none() {
            error!(%why, "the file cannot be written: changes are refused until it can");
        }
        queue.fault = Some(why);
        if !queue.is_closed {
            self.journal.moved.wait_for(&mut queue, RETRY_PAUSE);
        }
        queue.is_closed || Arc::strong_count(&self.journal) == 1
    }
}

impl Drop for JournalWriter {
    /// However the thread ends, nothing more is accepted, and no ticket is waited for in vain.
    fn drop(&mut self) {
        let mut queue = self.journal.queue.lock();
        queue.is_closed = true;
        queue.entries.clear();
        if *self.end.borrow() != JournalEnd::InOrder {
            queue.fault.get_or_insert_with(|| "the thread that writes it has ended".to_owned());
            self.end.send_replace(JournalEnd::Short);
        }
    }
}
