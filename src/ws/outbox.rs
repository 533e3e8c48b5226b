//! One client's outbox and the way to its socket: the fan-out sends what the socket takes at once, and the client's own task
//! flushes the rest. A client that is too slow is given up, and slows no other. Does not know the connection.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use crate::engine::StateTag;

use super::budget::{OutboxBudget, QueuedMessage};
use super::outgoing::{OutboxEnd, Outgoing};
use super::queue::MessageQueue;
use super::shared_writer::{Sent, SharedWriter};

/// Messages on their way to one client. Where both locks are taken, `sending` is first; it is held while something is
/// sent, and the fan-out takes the queue's alone.
#[derive(Debug)]
pub(super) struct Outbox {
    sending: Mutex<()>,
    queue: Mutex<MessageQueue>,
    writer: SharedWriter,
    budget: Arc<OutboxBudget>,
    skipped: Counter,
    /// A state that is awaited was queued, or an answer was sent.
    progress: Notify,
}

/// What the client's task must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The socket is full, or takes the end of something.
    Flush,
    /// There is nothing more to send.
    End(OutboxEnd),
}

impl Outbox {
    /// Nothing waits; what will counts in `budget`, and updates that are left out in `skipped`.
    pub(super) fn new(budget: &Arc<OutboxBudget>, skipped: Counter) -> Self {
        Self {
            sending: Mutex::default(),
            queue: Mutex::new(MessageQueue::new(budget)),
            writer: SharedWriter::default(),
            budget: Arc::clone(budget),
            skipped,
            progress: Notify::new(),
        }
    }

    /// A new state.
    pub(super) fn state(&self, tag: StateTag, message: QueuedMessage) {
        self.put(|queue| queue.state(tag, message));
    }

    /// The present state, after newer ones may have been lost.
    pub(super) fn restored(&self, tag: StateTag, message: QueuedMessage) {
        self.put(|queue| queue.restored(tag, message));
    }

    /// A message that must not be lost.
    pub(super) fn notice(&self, message: QueuedMessage) {
        self.put(|queue| queue.notice(message));
    }

    /// The session was deleted.
    pub(super) fn deleted(&self, tag: StateTag, message: QueuedMessage) {
        self.put(|queue| queue.deleted(tag, message));
    }

    /// Updates of the session end here; what waits is still true.
    pub(super) fn interrupted(&self) {
        self.put(MessageQueue::interrupted);
        self.writer.notify_due();
    }

    /// Queues something. What outruns the tasks that send is sent by the caller.
    fn put(&self, put: impl FnOnce(&mut MessageQueue)) {
        let (is_long, is_awaited) = {
            let mut queue = self.queue.lock();
            put(&mut queue);
            if queue.end() == Some(OutboxEnd::TooSlow) {
                self.writer.notify_due();
            }
            (queue.is_long(), std::mem::take(&mut queue.is_awaited))
        };
        if is_awaited {
            self.progress.notify_one();
        }
        if is_long {
            self.send_now();
        }
    }

    /// Greets the client, with the state in which it comes in.
    pub(super) fn open(&self, connected: Bytes, snapshot: Option<(StateTag, Bytes)>) {
        let connected = self.message(connected);
        let snapshot = snapshot.map(|(tag, json)| (tag, self.message(json)));
        self.queue.lock().open(connected, snapshot);
        self.send_now();
    }

    /// What the client asked for.
    pub(super) fn answer(&self, json: Bytes) {
        let message = self.message(json);
        self.queue.lock().answer(message);
        self.send_now();
    }

    /// The state that the client asked for.
    pub(super) fn sync(&self, tag: StateTag, json: Bytes) {
        let message = self.message(json);
        self.queue.lock().sync(tag, message);
        self.send_now();
    }

    /// Asks whether the client is there, which it need not show while its socket is full; returns whether it was asked.
    pub(super) fn ping(&self) -> bool {
        let is_asked = {
            let mut queue = self.queue.lock();
            if !queue.is_blocked() {
                queue.ping();
            }
            !queue.is_blocked()
        };
        self.send_now();
        is_asked
    }

    fn message(&self, json: Bytes) -> QueuedMessage {
        QueuedMessage::new(json, &self.budget)
    }

    /// Sends what waits, as far as that can be done at once; the rest is left to the client's task.
    pub(super) fn send_now(&self) {
        let _sending = self.sending.lock();
        loop {
            let taken = self.queue.lock().take();
            let Some((first, more)) = taken else { break };
            let (begun, sent) = match &more[..] {
                [] => match self.writer.try_send(first.frame()) {
                    Sent::Not => (0, Sent::Not),
                    sent @ (Sent::Begun | Sent::Wholly) => (1, sent),
                },
                more => self.writer.try_send_all(Some(&first).into_iter().chain(more).map(Outgoing::frame).collect()),
            };
            let mut all = Some(first).into_iter().chain(more);
            for outgoing in all.by_ref().take(begun) {
                self.is_sent(&outgoing);
            }
            if sent != Sent::Wholly {
                self.queue.lock().block(all.collect());
                break;
            }
        }
        let queue = self.queue.lock();
        if queue.is_blocked() || queue.end().is_some() {
            self.writer.notify_due();
        }
    }

    fn is_sent(&self, outgoing: &Outgoing) {
        match outgoing {
            Outgoing::State(_, _, skipped) => drop(self.skipped.inc_by(*skipped)),
            Outgoing::Answer(_) | Outgoing::Sync(_) => self.progress.notify_one(),
            Outgoing::Notice(_) | Outgoing::Ping => {}
        }
    }

    /// Waits until there is something for the client's task to do.
    pub(super) async fn due(&self) -> Due {
        loop {
            if let Some(due) = self.is_due() {
                return due;
            }
            self.writer.notified_due().await;
        }
    }

    fn is_due(&self) -> Option<Due> {
        let queue = self.queue.lock();
        match queue.end() {
            Some(OutboxEnd::TooSlow) => Some(Due::End(OutboxEnd::TooSlow)),
            _ if queue.is_blocked() || self.writer.is_begun() => Some(Due::Flush),
            Some(OutboxEnd::Deleted | OutboxEnd::Interrupted) if !queue.is_empty() => None,
            end => end.map(Due::End),
        }
    }

    /// Waits until the client has let too much wait.
    pub(super) async fn given_up(&self) {
        while self.queue.lock().end() != Some(OutboxEnd::TooSlow) {
            self.writer.notified_due().await;
        }
    }

    /// Waits until the socket takes something, and begins what waits. A socket that is broken says so only when it must take
    /// something, so that one message is begun whether or not the socket takes it.
    pub(super) async fn flush(&self) -> io::Result<()> {
        poll_fn(|cx| self.writer.poll_flush(cx)).await?;
        let _sending = self.sending.lock();
        let mut queue = self.queue.lock();
        queue.unblock();
        if let Some(next) = queue.take_one() {
            let is_begun = self.writer.begin(next.frame());
            if is_begun {
                self.is_sent(&next);
            }
            queue.block(if is_begun { Vec::new() } else { vec![next] });
        }
        Ok(())
    }

    /// Waits until nothing that the client asked for waits to be sent.
    pub(super) async fn answered(&self) {
        while self.queue.lock().has_answer() {
            self.progress.notified().await;
        }
    }

    /// Waits until the client was given the state `tag`, or will be.
    pub(super) async fn delivered(&self, tag: StateTag) {
        loop {
            {
                let mut queue = self.queue.lock();
                if queue.newest() >= Some(tag) {
                    return;
                }
                queue.is_awaited = true;
            }
            self.progress.notified().await;
        }
    }

    /// The newest state that the client was given, or will be.
    pub(super) fn newest(&self) -> Option<StateTag> {
        self.queue.lock().newest()
    }

    /// Whether the client reads more slowly than it is sent something.
    pub(super) fn is_blocked(&self) -> bool {
        self.queue.lock().is_blocked()
    }

    /// Nothing more is to be sent.
    pub(super) fn close(&self) {
        let _sending = self.sending.lock();
        self.queue.lock().close(OutboxEnd::Closed);
    }
}

impl AsRef<SharedWriter> for Outbox {
    fn as_ref(&self) -> &SharedWriter {
        &self.writer
    }
}

#[cfg(test)]
mod tests;
