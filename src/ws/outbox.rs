//! What one client still has to be sent, and the way to its socket: whoever has news sends what the socket takes at once, and
//! the peer sees to the rest. A client that is too slow is given up, and slows nobody. Does not know the connection.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use crate::engine::StateTag;

use super::budget::{OutboxBudget, QueuedMessage};
use super::queue::{MessageQueue, OutboxEnd, Outgoing};
use super::shared_writer::{Sent, SharedWriter};

/// Messages on their way to one client. Where both locks are taken, `sending` is first; it is held while something is
/// sent, and whoever has something for the client takes the queue's alone.
#[derive(Debug)]
pub(super) struct Outbox {
    sending: Mutex<()>,
    queue: Mutex<MessageQueue>,
    line: SharedWriter,
    budget: Arc<OutboxBudget>,
    skipped: Counter,
    /// Something was heard of that is awaited, or an answer was sent.
    moved: Notify,
}

/// What the peer must see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The socket is full, or takes the end of something.
    Flush,
    /// There is nothing more to send.
    OutboxEnd(OutboxEnd),
}

impl Outbox {
    /// Nothing waits; what will counts in `budget`, and updates that are left out in `skipped`.
    pub(super) fn new(budget: &Arc<OutboxBudget>, skipped: Counter) -> Self {
        Self {
            sending: Mutex::default(),
            queue: Mutex::new(MessageQueue::new(budget)),
            line: SharedWriter::default(),
            budget: Arc::clone(budget),
            skipped,
            moved: Notify::new(),
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

    /// Nothing more can be heard of the session here; what waits is still true.
    pub(super) fn interrupted(&self) {
        self.put(MessageQueue::interrupted);
        self.line.stir();
    }

    /// Whoever outruns those who send sends.
    fn put(&self, put: impl FnOnce(&mut MessageQueue)) {
        let (is_long, is_awaited) = {
            let mut queue = self.queue.lock();
            put(&mut queue);
            if queue.end() == Some(OutboxEnd::TooSlow) {
                self.line.stir();
            }
            (queue.is_long(), std::mem::take(&mut queue.is_awaited))
        };
        if is_awaited {
            self.moved.notify_one();
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

    /// Sends what waits, as far as that can be done at once; the rest is the peer's.
    pub(super) fn send_now(&self) {
        let _sending = self.sending.lock();
        loop {
            let taken = self.queue.lock().take();
            let Some((first, more)) = taken else { break };
            let (begun, sent) = match &more[..] {
                [] => match self.line.try_send(first.frame()) {
                    Sent::Not => (0, Sent::Not),
                    sent @ (Sent::Begun | Sent::Wholly) => (1, sent),
                },
                more => self.line.try_send_all(Some(&first).into_iter().chain(more).map(Outgoing::frame).collect()),
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
            self.line.stir();
        }
    }

    fn is_sent(&self, outgoing: &Outgoing) {
        match outgoing {
            Outgoing::State(_, _, skipped) => drop(self.skipped.inc_by(*skipped)),
            Outgoing::Answer(_) | Outgoing::Sync(_) => self.moved.notify_one(),
            Outgoing::Notice(_) | Outgoing::Ping => {}
        }
    }

    /// Waits until there is something that the peer must see to.
    pub(super) async fn due(&self) -> Due {
        loop {
            if let Some(due) = self.is_due() {
                return due;
            }
            self.line.stirred().await;
        }
    }

    fn is_due(&self) -> Option<Due> {
        let queue = self.queue.lock();
        match queue.end() {
            Some(OutboxEnd::TooSlow) => Some(Due::OutboxEnd(OutboxEnd::TooSlow)),
            _ if queue.is_blocked() || self.line.is_begun() => Some(Due::Flush),
            Some(OutboxEnd::Deleted | OutboxEnd::Interrupted) if !queue.is_empty() => None,
            end => end.map(Due::OutboxEnd),
        }
    }

    /// Waits until the client has let too much wait.
    pub(super) async fn given_up(&self) {
        while self.queue.lock().end() != Some(OutboxEnd::TooSlow) {
            self.line.stirred().await;
        }
    }

    /// Waits until the socket takes something, and begins what waits. A socket that is broken says so only when it must take
    /// something, so that one message is begun whether or not the socket takes it.
    pub(super) async fn flush(&self) -> io::Result<()> {
        poll_fn(|cx| self.line.poll_flush(cx)).await?;
        let _sending = self.sending.lock();
        let mut queue = self.queue.lock();
        queue.unblock();
        if let Some(next) = queue.take_one() {
            let is_begun = self.line.begin(next.frame());
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
            self.moved.notified().await;
        }
    }

    /// Waits until the client was given the state `tag`, or will be.
    pub(super) async fn heard(&self, tag: StateTag) {
        loop {
            {
                let mut queue = self.queue.lock();
                if queue.newest() >= Some(tag) {
                    return;
                }
                queue.is_awaited = true;
            }
            self.moved.notified().await;
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
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::super::budget::{OutboxBudget, QueuedMessage};
    use super::super::queue::OutboxEnd;
    use super::super::shared_writer::SharedStream;
    use super::{Due, Outbox};
    use crate::engine::StateTag;

    fn tag(version: u64) -> StateTag {
        StateTag { epoch: 1, version }
    }

    /// A client that can be sent something, and its own end.
    async fn connected(bytes_max: u64) -> (Arc<Outbox>, SharedStream<Outbox>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
        let (tcp, _) = listener.accept().await.expect("somebody connects");
        let outbox = Arc::new(Outbox::new(&OutboxBudget::new(bytes_max, Gauge::default()), Counter::default()));
        let stream = SharedStream::shared(tcp, Arc::clone(&outbox));
        (outbox, stream, client)
    }

    fn update(outbox: &Outbox, version: u64, padding: usize) -> QueuedMessage {
        let text = format!(r#"{{"type":"STATE_UPDATE","v":{version},"p":"{}"}}"#, "x".repeat(padding));
        QueuedMessage::new(Bytes::from(text), &outbox.budget)
    }

    #[tokio::test]
    async fn nothing_is_sent_before_the_greeting_nor_after_the_end() {
        let (outbox, _stream, mut client) = connected(u64::MAX).await;
        outbox.state(tag(1), update(&outbox, 1, 0));
        outbox.send_now();
        assert!(client.try_read(&mut [0]).is_err(), "nobody was greeted");
        outbox.open(Bytes::from_static(b"hello"), None);
        outbox.notice(QueuedMessage::new(Bytes::from_static(b"last"), &outbox.budget));
        outbox.send_now();
        outbox.close();
        outbox.answer(Bytes::from_static(b"late"));
        let mut read = vec![0; 7 + 2 + 36 + 6];
        client.read_exact(&mut read).await.expect("it was sent");
        let expected =
            [&b"\x81\x05hello\x81\x24"[..], br#"{"type":"STATE_UPDATE","v":1,"p":""}"#, b"\x81\x04last"].concat();
        assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&expected));
        assert!(client.try_read(&mut read).is_err(), "nothing else was");
        assert_eq!(outbox.due().await, Due::OutboxEnd(OutboxEnd::Closed));
    }

    /// Reads frames of at least 64 KiB, as they come; the versions and how many each replaces.
    async fn versions(client: &mut TcpStream, until: u64) -> Vec<(u64, u64)> {
        let mut versions = Vec::new();
        loop {
            let mut head = [0; 10];
            client.read_exact(&mut head).await.expect("a frame");
            assert_eq!(head[..2], [0x81, 127]);
            let len = u64::from_be_bytes(head[2..].try_into().expect("eight bytes"));
            let mut text = vec![0; len as usize];
            client.read_exact(&mut text).await.expect("its text");
            let text = String::from_utf8(text).expect("JSON");
            let number = |name: &str| {
                let digits = text.split_once(name).map_or("0", |(_, rest)| rest);
                digits.split([',', '}']).next().and_then(|digits| digits.parse().ok()).expect("a number")
            };
            let version = number(r#""v":"#);
            versions.push((version, number(r#""skipped":"#)));
            if version == until {
                return versions;
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_gets_the_newest_state_which_says_what_it_replaces() {
        const CHANGES: u64 = 200;
        let (outbox, _stream, mut client) = connected(u64::MAX).await;
        outbox.open(Bytes::from_static(b"hello"), None);
        for version in 1..=CHANGES {
            outbox.state(tag(version), update(&outbox, version, 100_000));
            outbox.send_now();
        }
        assert!(outbox.is_blocked(), "20 MB are more than a socket takes");
        let reading = tokio::spawn(async move {
            client.read_exact(&mut [0; 7]).await.expect("the greeting");
            versions(&mut client, CHANGES).await
        });
        while outbox.is_blocked() {
            assert_eq!(outbox.due().await, Due::Flush);
            outbox.flush().await.expect("the client reads");
        }
        let versions = reading.await.expect("nobody panics");
        assert!(versions.len() < CHANGES as usize);
        assert_eq!(outbox.skipped.get(), CHANGES - versions.len() as u64);
        let mut last = 0;
        for (version, skipped) in versions {
            assert_eq!(version, last + 1 + skipped);
            last = version;
        }
    }

    #[tokio::test]
    async fn a_client_whose_socket_takes_all_gets_each_state_however_many_come_at_once() {
        const CHANGES: u64 = 1_000;
        let (outbox, _stream, mut client) = connected(u64::MAX).await;
        outbox.open(Bytes::from_static(b"hello"), None);
        for version in 1..=CHANGES {
            // Nobody has come round to send.
            outbox.state(tag(version), update(&outbox, version, 0));
        }
        outbox.send_now();
        assert!(!outbox.is_blocked());
        client.read_exact(&mut [0; 7]).await.expect("the greeting");
        for version in 1..=CHANGES {
            let mut head = [0; 2];
            client.read_exact(&mut head).await.expect("a frame");
            let mut text = vec![0; usize::from(head[1])];
            client.read_exact(&mut text).await.expect("its text");
            assert_eq!(String::from_utf8_lossy(&text), format!(r#"{{"type":"STATE_UPDATE","v":{version},"p":""}}"#));
        }
    }

    #[tokio::test]
    async fn who_reads_nothing_is_given_up_when_all_together_wait_for_too_much() {
        let (outbox, _stream, client) = connected(1_000_000).await;
        outbox.open(Bytes::from_static(b"hello"), None);
        let elsewhere = vec![b'x'; 950_000];
        let other = QueuedMessage::new(Bytes::from(elsewhere), &outbox.budget);
        let mut version = 0;
        while !outbox.is_blocked() && version < 1_000 {
            version += 1;
            outbox.state(tag(version), update(&outbox, version, 40_000));
            outbox.send_now();
        }
        assert!(outbox.is_blocked(), "it reads nothing");
        outbox.state(tag(version + 1), update(&outbox, version + 1, 40_000));
        timeout(Duration::from_secs(5), outbox.given_up()).await.expect("there is no room");
        assert_eq!(outbox.due().await, Due::OutboxEnd(OutboxEnd::TooSlow));
        drop((other, client));
    }
}
