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

/// Messages on their way to one client.
#[derive(Debug, Default)]
pub(super) struct Outbox {
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
    full: bool,
    /// The peer waits, and has nothing in hand.
    is_direct: bool,
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
        if queue.newest >= Some(tag) || queue.full {
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
        if queue.full {
            return;
        }
        if queue.notices == NOTICES_MAX {
            queue.full = true;
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
        if queue.newest >= Some(tag) || queue.full {
            return;
        }
        queue.full = true;
        queue.waiting.push_back(Outgoing::Deleted(message));
    }

    /// Sends what waits, as far as that can be done at once and without the peer; the rest is the peer's.
    pub(super) fn deliver(&self) {
        let mut queue = self.queue.lock();
        while queue.is_direct {
            let sent = match queue.waiting.front() {
                None => return,
                Some(Outgoing::State(_, text) | Outgoing::Notice(text)) => self.line.try_send(text),
                Some(Outgoing::Deleted(_) | Outgoing::Rest | Outgoing::TooSlow) => Sent::Not,
            };
            if sent != Sent::Not {
                queue.pop();
            }
            if sent == Sent::Partly {
                queue.waiting.push_front(Outgoing::Rest);
            }
            queue.is_direct = sent == Sent::Wholly;
        }
        if !queue.waiting.is_empty() {
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// The peer has something to say itself: what comes waits until it asks for it.
    pub(super) fn hold(&self) {
        self.queue.lock().is_direct = false;
    }

    /// The client wants to hear no more.
    pub(super) fn close(&self) {
        let mut queue = self.queue.lock();
        (queue.full, queue.is_direct) = (true, false);
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

    /// The next message, if there is one now; if not, what comes need not wait for the peer.
    fn try_next(&self) -> Option<Outgoing> {
        let mut queue = self.queue.lock();
        let next = queue.pop();
        queue.is_direct = next.is_none() && !queue.full;
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
}

impl AsRef<Line> for Outbox {
    fn as_ref(&self) -> &Line {
        &self.line
    }
}

#[cfg(test)]
mod tests {
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
}
