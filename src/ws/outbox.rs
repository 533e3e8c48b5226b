//! What one client still has to be sent: the newest state, and a bounded number of other messages around
//! it. While its peer has nothing of its own to say they go straight to the line, and otherwise the peer takes them
//! when it is their turn. A client that is too slow is given up, and slows nobody. Does not know the connection.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::engine::StateTag;

use super::line::{Line, Sent};

/// Messages beside the state that may wait.
const NOTICES_MAX: usize = 32;

/// Messages on their way to one client. Where both locks are taken, `is_direct` is first; it is held while something is
/// sent, and whoever has something for the client takes the queue's alone.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The peer waits, and has nothing in hand.
    is_direct: Mutex<bool>,
    queue: Mutex<Queue>,
    filled: Notify,
    line: Line,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Outgoing>,
    notices: usize,
    /// The newest state that the client was given or will be.
    newest: Option<StateTag>,
    /// Nothing is taken in any more.
    is_closed: bool,
}

/// What a client is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// A state.
    State(StateTag, Utf8Bytes),
    /// Anything else.
    Notice(Utf8Bytes),
    /// The session is gone: the last message.
    Deleted(Utf8Bytes),
    /// The rest of a message that was begun without the peer.
    Rest,
    /// The client did not keep up.
    TooSlow,
}

impl Outbox {
    /// A new state. It takes the place of one that still waits, so that what was to follow that one
    /// follows it.
    pub(super) fn state(&self, tag: StateTag, frame: Utf8Bytes) {
        let mut queue = self.queue.lock();
        if queue.newest >= Some(tag) || queue.is_closed {
            return;
        }
        queue.newest = Some(tag);
        let newer = Outgoing::State(tag, frame);
        match queue.waiting.iter_mut().find(|waiting| matches!(waiting, Outgoing::State(..))) {
            Some(older) => *older = newer,
            None => queue.waiting.push_back(newer),
        }
    }

    /// The present state, after newer ones may have been lost: from now on they never were.
    pub(super) fn restored(&self, tag: StateTag, frame: Utf8Bytes) {
        {
            let mut queue = self.queue.lock();
            if queue.newest > Some(tag) {
                queue.newest = None;
            }
        }
        self.state(tag, frame);
    }

    /// A message that must not be lost. One too many, and the client is too slow.
    pub(super) fn notice(&self, message: Utf8Bytes) {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return;
        }
        if queue.notices == NOTICES_MAX {
            queue.is_closed = true;
            queue.waiting.clear();
            queue.waiting.push_back(Outgoing::TooSlow);
        } else {
            queue.notices += 1;
            queue.waiting.push_back(Outgoing::Notice(message));
        }
    }

    /// The session was deleted, unless that is old news.
    pub(super) fn deleted(&self, tag: StateTag, message: Utf8Bytes) {
        let mut queue = self.queue.lock();
        if queue.newest >= Some(tag) || queue.is_closed {
            return;
        }
        queue.is_closed = true;
        queue.waiting.push_back(Outgoing::Deleted(message));
    }

    /// Sends what waits, as far as that can be done at once and without the peer; the rest is the peer's.
    pub(super) fn send_now(&self) {
        let mut is_direct = self.is_direct.lock();
        while *is_direct {
            let Some(next) = self.queue.lock().pop() else { return };
            let sent = match &next {
                Outgoing::State(_, text) | Outgoing::Notice(text) => self.line.try_send(text),
                Outgoing::Deleted(_) | Outgoing::Rest | Outgoing::TooSlow => Sent::Not,
            };
            match sent {
                Sent::Wholly => {}
                Sent::Partly => self.queue.lock().put_back(Outgoing::Rest),
                Sent::Not => self.queue.lock().put_back(next),
            }
            *is_direct = sent == Sent::Wholly;
        }
        self.filled.notify_one();
    }

    /// The peer has something to say itself: what comes waits until it asks for it.
    pub(super) fn hold(&self) {
        *self.is_direct.lock() = false;
    }

    /// The client wants to hear no more.
    pub(super) fn close(&self) {
        self.hold();
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        queue.waiting.clear();
    }

    /// The client is given the state `tag` by other means: what is not newer need not be sent.
    pub(super) fn caught_up(&self, tag: StateTag) {
        let mut queue = self.queue.lock();
        queue.newest = queue.newest.max(Some(tag));
        queue.waiting.retain(|waiting| !matches!(waiting, Outgoing::State(old, _) if *old <= tag));
    }

    /// The next message that the peer must send, when there is one.
    pub(super) async fn next(&self) -> Outgoing {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.filled.notified().await;
        }
    }

    /// The next message, if there is one now; if not, what comes need not wait for the peer any more.
    fn try_next(&self) -> Option<Outgoing> {
        let mut is_direct = self.is_direct.lock();
        let mut queue = self.queue.lock();
        let next = queue.pop();
        *is_direct = next.is_none() && !queue.is_closed;
        next
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Outgoing> {
        let next = self.waiting.pop_front();
        if matches!(next, Some(Outgoing::Notice(_))) {
            self.notices -= 1;
        }
        next
    }

    /// What could not be sent goes before what came meanwhile; a newer state takes its place.
    fn put_back(&mut self, unsent: Outgoing) {
        let is_state = |waiting: &Outgoing| matches!(waiting, Outgoing::State(..));
        let newer = self.waiting.iter().position(is_state).filter(|_| is_state(&unsent));
        let first = newer.and_then(|place| self.waiting.remove(place)).unwrap_or(unsent);
        self.notices += usize::from(matches!(first, Outgoing::Notice(_)));
        if self.waiting.front() != Some(&Outgoing::TooSlow) {
            self.waiting.push_front(first);
        }
    }
}

impl AsRef<Line> for Outbox {
    fn as_ref(&self) -> &Line {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::line::Stream;
    use super::{NOTICES_MAX, Outbox, Outgoing};
    use crate::engine::StateTag;

    fn tag(epoch: u64, version: u64) -> StateTag {
        StateTag { epoch, version }
    }

    fn drain(outbox: &Outbox) -> String {
        let all = std::iter::from_fn(|| outbox.try_next());
        let text = all.map(|next| match next {
            Outgoing::State(tag, text) => format!("{}.{}{text}", tag.epoch, tag.version),
            Outgoing::Notice(text) => text.to_string(),
            Outgoing::Deleted(text) => format!("gone{text}"),
            Outgoing::Rest => "rest".to_owned(),
            Outgoing::TooSlow => "slow".to_owned(),
        });
        text.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_newer_state_takes_the_place_of_one_that_waits() {
        let outbox = Outbox::default();
        outbox.notice("a".into());
        outbox.state(tag(1, 1), "".into());
        outbox.notice("b".into());
        outbox.state(tag(1, 3), "".into());
        outbox.state(tag(1, 2), "".into());
        outbox.notice("c".into());
        assert_eq!(drain(&outbox), "a 1.3 b c");
        outbox.state(tag(1, 3), "".into());
        outbox.state(tag(2, 1), "".into());
        assert_eq!(drain(&outbox), "2.1");
    }

    #[test]
    fn a_restored_state_counts_although_it_is_older() {
        let outbox = Outbox::default();
        outbox.state(tag(1, 5), "".into());
        outbox.restored(tag(1, 3), "".into());
        outbox.state(tag(1, 2), "".into());
        assert_eq!(drain(&outbox), "1.3");
        outbox.restored(tag(1, 3), "".into());
        assert_eq!(drain(&outbox), "", "the client has it already");
        outbox.state(tag(2, 4), "".into());
        assert_eq!(drain(&outbox), "2.4");
    }

    #[test]
    fn what_the_client_has_by_other_means_is_not_sent_again() {
        let outbox = Outbox::default();
        outbox.state(tag(1, 2), "".into());
        outbox.caught_up(tag(1, 2));
        assert_eq!(drain(&outbox), "");
        outbox.state(tag(1, 4), "".into());
        outbox.caught_up(tag(1, 3));
        outbox.state(tag(1, 3), "".into());
        assert_eq!(drain(&outbox), "1.4");
    }

    #[test]
    fn a_deletion_is_the_last_message_and_old_ones_do_not_count() {
        let outbox = Outbox::default();
        outbox.state(tag(2, 1), "".into());
        outbox.deleted(tag(1, 9), "".into());
        assert_eq!(drain(&outbox), "2.1");
        outbox.deleted(tag(2, 2), "".into());
        outbox.state(tag(3, 1), "".into());
        outbox.notice("a".into());
        assert_eq!(drain(&outbox), "gone");
    }

    #[test]
    fn a_client_that_lets_too_much_wait_is_too_slow() {
        let outbox = Outbox::default();
        for _ in 0..NOTICES_MAX {
            outbox.notice("a".into());
        }
        outbox.state(tag(1, 1), "".into());
        assert_eq!(outbox.try_next(), Some(Outgoing::Notice("a".into())));
        outbox.notice("b".into());
        outbox.notice("c".into());
        outbox.state(tag(1, 2), "".into());
        assert_eq!(drain(&outbox), "slow");
    }

    /// A client that can be sent something, and its own end.
    async fn connected() -> (Arc<Outbox>, Stream<Outbox>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
        let (tcp, _) = listener.accept().await.expect("somebody connects");
        let outbox = Arc::new(Outbox::default());
        let stream = Stream::shared(tcp, Arc::clone(&outbox));
        (outbox, stream, client)
    }

    #[tokio::test]
    async fn what_comes_is_sent_at_once_unless_the_peer_has_something_to_say() {
        let (outbox, _stream, mut client) = connected().await;
        outbox.state(tag(1, 1), "early".into());
        outbox.send_now();
        assert_eq!(drain(&outbox), "1.1early", "the peer has not asked yet");
        outbox.state(tag(1, 2), "ab".into());
        outbox.notice("c".into());
        outbox.send_now();
        outbox.hold();
        outbox.state(tag(1, 3), "held".into());
        outbox.send_now();
        assert_eq!(drain(&outbox), "1.3held", "the others are gone");
        outbox.state(tag(1, 4), "last".into());
        outbox.close();
        outbox.send_now();
        outbox.state(tag(1, 5), "late".into());
        assert_eq!(drain(&outbox), "");
        outbox.send_now();
        let mut read = [0; 7];
        client.read_exact(&mut read).await.expect("it was sent");
        assert_eq!(&read, b"\x81\x02ab\x81\x01c");
        assert!(client.try_read(&mut read).is_err(), "nothing else was");
    }

    #[test]
    fn what_could_not_be_sent_goes_first_or_gives_way_to_what_is_newer() {
        let outbox = Outbox::default();
        assert_eq!(drain(&outbox), "");
        for (name, number) in [("a", 1), ("b", 2)] {
            outbox.notice(name.into());
            outbox.state(tag(1, number), "".into());
            let unsent = outbox.queue.lock().pop().expect("it is there");
            outbox.notice("late".into());
            outbox.queue.lock().put_back(unsent);
        }
        assert_eq!(outbox.queue.lock().notices, 4);
        assert_eq!(drain(&outbox), "a 1.2 late b late");
        outbox.state(tag(1, 3), "".into());
        let unsent = outbox.queue.lock().pop().expect("it is there");
        outbox.notice("c".into());
        outbox.state(tag(1, 4), "".into());
        outbox.queue.lock().put_back(unsent);
        assert_eq!(drain(&outbox), "1.4 c");
    }
}
