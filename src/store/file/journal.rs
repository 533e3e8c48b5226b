//! The way of changes into the database: a bounded queue and the one thread that writes. What waits is written in one
//! transaction, and told to whoever waits for it. Does not know tables, nor what else is done with a change.
//!
//! While the database cannot be written, nothing new is taken in. What had been taken in is kept and tried again, so that
//! what this process shows and what the file holds come together again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};
use tracing::{error, info};

use crate::clock::Clock;
use crate::engine::SessionId;
use crate::store::metrics::Operation;
use crate::store::{Metrics, StoreError};
use crate::supervision::{Task, TaskExit, panic_point, stall_point};

use super::change::Change;
use super::tables::{ChangeKey, Fault, Line, Tables};

/// What may wait, in bytes of states; when it is full changes are refused.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// What a row takes beside its state.
const ROW_BYTES: usize = 1_024;
/// How long to leave a database alone that could not be written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where changes go.
pub(in crate::store) struct Journal {
    queue: Mutex<Queue>,
    moved: Condvar,
    /// Everything that was entered up to this number is on the disk.
    written: AtomicU64,
    patience: Duration,
    metrics: Metrics,
    ended: watch::Receiver<End>,
}

/// Where the thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Running,
    /// All that was entered is written.
    InOrder,
    /// Something that was entered is not written.
    Short,
}

struct Queue {
    rows: Vec<Row>,
    /// Of the rows here and of those being written.
    bytes: usize,
    /// The number of the last row.
    entered: u64,
    /// Why nothing can be written now.
    fault: Option<Fault>,
    closed: bool,
}

struct Row {
    what: What,
    bytes: usize,
    waiter: Option<oneshot::Sender<()>>,
}

enum What {
    Change(SessionId, Box<Change>),
    Forget(SessionId),
    Erase(SessionId),
    Remove(Vec<ChangeKey>),
    /// Only waits for what was entered before it.
    Mark,
}

/// A promise that something will be on the disk.
pub(in crate::store) struct Written(oneshot::Receiver<()>);

impl Journal {
    /// Starts the thread.
    pub(super) fn start(
        tables: Arc<Tables>,
        clock: Clock,
        patience: Duration,
        metrics: Metrics,
    ) -> io::Result<Arc<Self>> {
        let (end, ended) = watch::channel(End::Running);
        let journal = Arc::new(Self {
            queue: Mutex::new(Queue { rows: Vec::new(), bytes: 0, entered: 0, fault: None, closed: false }),
            moved: Condvar::new(),
            written: AtomicU64::new(0),
            // Less than a request may take, so that its client is told what is known.
            patience: patience * 9 / 10,
            metrics,
            ended,
        });
        let supervisor = journal.metrics.supervisor.clone();
        // Its rows are gone with it: it cannot be begun anew.
        let mut writer = Some(Writer { journal: Arc::clone(&journal), tables, clock, end });
        supervisor.keep_thread(Task::irreplaceable("journal"), "journal".to_owned(), move || {
            if let Some(writer) = writer.take() {
                writer.run();
            }
            TaskExit::Done
        })?;
        Ok(journal)
    }

    /// Takes in a change; returns its number and a promise. To be called in the order of the session's changes. After
    /// an error nothing was taken in.
    pub(in crate::store) fn enter(&self, id: SessionId, change: Change) -> Result<(u64, Written), StoreError> {
        let bytes = ROW_BYTES + change.record.encoded().members().len();
        self.push(What::Change(id, Box::new(change)), bytes)
    }

    /// A promise for all that was taken in so far; `None` when the row of this number is on the disk.
    pub(in crate::store) fn settled(&self, number: u64) -> Result<Option<Written>, StoreError> {
        if number <= self.written.load(Ordering::Acquire) {
            return Ok(None);
        }
        self.push(What::Mark, ROW_BYTES).map(|(_, written)| Some(written))
    }

    /// Takes in that a session is not kept any longer. When it cannot be taken in the next start finds out.
    pub(in crate::store) fn forget(&self, id: SessionId) {
        let _ = self.push(What::Forget(id), ROW_BYTES);
    }

    /// Takes in that all is forgotten that was written of a session so far; returns a promise.
    pub(super) fn erase(&self, id: SessionId) -> Result<Written, StoreError> {
        self.push(What::Erase(id), ROW_BYTES).map(|(_, written)| written)
    }

    /// Takes in that changes are forgotten; returns a promise.
    pub(super) fn remove(&self, keys: Vec<ChangeKey>) -> Result<Written, StoreError> {
        let bytes = ROW_BYTES + keys.len() * size_of::<ChangeKey>();
        self.push(What::Remove(keys), bytes).map(|(_, written)| written)
    }

    /// Waits for a promise, as long as an answer may take; returns whether it was kept. It may yet be.
    pub(in crate::store) async fn wait(&self, written: Written, is_change: bool) -> bool {
        let is_written = matches!(tokio::time::timeout(self.patience, written.0).await, Ok(Ok(())));
        if is_change && !is_written {
            self.metrics.unknown_outcome();
        }
        is_written
    }

    /// Why nothing can be written now.
    pub(in crate::store) fn fault(&self) -> Option<String> {
        self.queue.lock().fault.clone()
    }

    /// Waits until the thread has ended.
    pub(in crate::store) async fn ended(&self) {
        // An error is its end, too.
        let _ = self.ended.clone().wait_for(|end| *end != End::Running).await;
    }

    /// Lets nothing in any more, and waits until what is in is written; returns whether it is.
    pub(super) async fn close(&self) -> bool {
        self.queue.lock().closed = true;
        self.moved.notify_one();
        self.ended().await;
        *self.ended.borrow() == End::InOrder
    }

    fn push(&self, what: What, bytes: usize) -> Result<(u64, Written), StoreError> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(StoreError::Unavailable("the file is closed"));
        }
        if queue.fault.is_some() {
            return Err(StoreError::Unavailable("the file cannot be written"));
        }
        if queue.bytes + bytes > QUEUE_BYTES_MAX {
            return Err(StoreError::Unavailable("too many changes are waiting to be written"));
        }
        let (waiter, written) = oneshot::channel();
        queue.rows.push(Row { what, bytes, waiter: Some(waiter) });
        queue.bytes += bytes;
        queue.entered += 1;
        let entered = queue.entered;
        drop(queue);
        self.moved.notify_one();
        Ok((entered, Written(written)))
    }
}

/// The thread that owns the database for writing.
struct Writer {
    journal: Arc<Journal>,
    tables: Arc<Tables>,
    clock: Clock,
    end: watch::Sender<End>,
}

impl Writer {
    fn run(self) {
        while let Some((rows, last)) = self.take() {
            if !self.write(&rows) {
                self.end.send_replace(End::Short);
                return;
            }
            self.journal.written.store(last, Ordering::Release);
            self.journal.queue.lock().bytes -= rows.iter().map(|row| row.bytes).sum::<usize>();
            for waiter in rows.into_iter().filter_map(|row| row.waiter) {
                // Who does not wait any longer was told that the outcome is not known.
                let _ = waiter.send(());
            }
        }
        let closed = self.tables.close();
        if let Err(why) = &closed {
            error!(%why, "the file was not closed in order; nothing is lost");
        }
        self.end.send_replace(End::InOrder);
    }

    /// All that waits and the number of the last row; `None` when there will be nothing more.
    fn take(&self) -> Option<(Vec<Row>, u64)> {
        let mut queue = self.journal.queue.lock();
        while queue.rows.is_empty() {
            // Nobody else holds the journal: no change can come any more.
            if queue.closed || Arc::strong_count(&self.journal) == 1 {
                return None;
            }
            self.journal.moved.wait_for(&mut queue, RETRY_PAUSE);
        }
        Some((std::mem::take(&mut queue.rows), queue.entered))
    }

    /// Writes a group, however often it takes; returns whether it is written, which it is unless the journal was closed.
    fn write(&self, rows: &[Row]) -> bool {
        let lines: Vec<_> = rows
            .iter()
            .filter_map(|row| match &row.what {
                What::Change(id, change) => Some(Line::Change(*id, change)),
                What::Forget(id) => Some(Line::Forget(*id)),
                What::Erase(id) => Some(Line::Erase(*id)),
                What::Remove(keys) => Some(Line::Remove(keys)),
                What::Mark => None,
            })
            .collect();
        if lines.is_empty() {
            return true;
        }
        panic_point("journal", "");
        stall_point("journal");
        let start = self.clock.moment();
        let mut outcome = self.tables.write(&lines);
        let mut is_last = false;
        while let Err(why) = outcome {
            if is_last {
                let changes = lines.len();
                error!(%why, changes, "stopped with changes that could not be written; none of them was acknowledged");
                return false;
            }
            is_last = self.pause(why);
            outcome = self.tables.reopen().and_then(|()| self.tables.write(&lines));
        }
        if self.journal.queue.lock().fault.take().is_some() {
            info!("the file can be written again");
        }
        self.journal.metrics.round_trip(Operation::Commit, self.clock.moment().since(start));
        true
    }

    /// Refuses what is new, and waits a while; returns whether the next try is the last.
    fn pause(&self, why: Fault) -> bool {
        let mut queue = self.journal.queue.lock();
        if queue.fault.is_none() {
            error!(%why, "the file cannot be written: changes are refused until it can");
        }
        queue.fault = Some(why);
        if !queue.closed {
            self.journal.moved.wait_for(&mut queue, RETRY_PAUSE);
        }
        queue.closed || Arc::strong_count(&self.journal) == 1
    }
}

impl Drop for Writer {
    /// Whatever ended the thread, nothing more is taken in, and nobody waits for ever.
    fn drop(&mut self) {
        let mut queue = self.journal.queue.lock();
        queue.closed = true;
        queue.rows.clear();
        if *self.end.borrow() != End::InOrder {
            queue.fault.get_or_insert_with(|| "the thread that writes it has ended".to_owned());
            self.end.send_replace(End::Short);
        }
    }
}
