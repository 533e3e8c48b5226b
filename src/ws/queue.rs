//! What waits for one client, in order: every state while its socket takes them, and the newest one, which says how many it
//! replaces, while it does not. Plain data; does not know sockets, nor when something is sent.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::StateTag;

use super::budget::{OutboxBudget, QueuedMessage};
use super::frame::Frame;

/// Bytes of notices that may wait for a client whose socket is full. When a thousand clocks run out in one change they
/// are 200 KB.
const NOTICES_LEN_MAX: usize = 1_024 * 1_024;
/// What a message takes while it waits, beside its bytes.
const ENTRY_LEN: usize = 64;
/// States that may wait although the socket is not known to be full.
pub(super) const STATES_MAX: usize = 64;
/// Messages, and bytes, that are sent in one go.
const BATCH_MAX: usize = 64;
const BATCH_LEN_MAX: usize = 65_536;

/// What a client is to be sent.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// A state, which takes the place of so many others.
    State(StateTag, QueuedMessage, u64),
    /// What everybody is told beside states.
    Notice(QueuedMessage),
    /// The client's alone: an answer to what it asked.
    Answer(QueuedMessage),
    /// An answer that shows the state: no newer one may come before it.
    Sync(QueuedMessage),
    /// The client must show that it is there.
    Ping,
}

/// Why nothing is taken in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutboxEnd {
    /// The session was deleted; what waits is still sent.
    Deleted,
    /// Nothing more can be heard of the session here; what waits is still sent.
    Interrupted,
    /// The client did not keep up.
    TooSlow,
    /// The client, or the server, ends the connection.
    Closed,
}

/// Messages in order.
#[derive(Debug)]
pub(super) struct MessageQueue {
    budget: Arc<OutboxBudget>,
    /// What of the budget the places in the queue take; messages count by themselves.
    counted: usize,
    waiting: VecDeque<Outgoing>,
    states: usize,
    answers: usize,
    notices_len: usize,
    /// The newest state that the client was given or will be.
    newest: Option<StateTag>,
    /// The client has been greeted.
    is_open: bool,
    /// The socket is full.
    is_blocked: bool,
    end: Option<OutboxEnd>,
    /// Somebody waits for the next change.
    pub(super) is_awaited: bool,
}

impl MessageQueue {
    pub(super) fn new(budget: &Arc<OutboxBudget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            counted: 0,
            waiting: VecDeque::new(),
            states: 0,
            answers: 0,
            notices_len: 0,
            newest: None,
            is_open: false,
            is_blocked: false,
            end: None,
            is_awaited: false,
        }
    }

    /// A new state. One that skips versions says so, and one that finds the socket full takes the place of those that wait, so
    /// that what was to follow them follows it.
    pub(super) fn state(&mut self, tag: StateTag, message: QueuedMessage) {
        if self.newest >= Some(tag) || self.end.is_some() {
            return;
        }
        let before = self.newest.filter(|before| before.epoch == tag.epoch);
        let mut skipped = before.map_or(0, |before| tag.version - before.version - 1);
        self.newest = Some(tag);
        let place = match self.is_blocked || self.states >= STATES_MAX {
            true => self.replace(&mut skipped),
            false => self.waiting.len(),
        };
        self.waiting.insert(place, Outgoing::State(tag, message, skipped));
        self.states += 1;
        self.judge();
    }

    /// Takes out what waits of older states, and says where the first of them was.
    fn replace(&mut self, skipped: &mut u64) -> usize {
        let is_sync = |waiting: &Outgoing| matches!(waiting, Outgoing::Sync(_));
        let from = self.waiting.iter().rposition(is_sync).map_or(0, |place| place + 1);
        let mut first = None;
        let mut place = from;
        while place < self.waiting.len() {
            match &self.waiting[place] {
                Outgoing::State(_, _, others) => {
                    *skipped += others + 1;
                    self.states -= 1;
                    self.waiting.remove(place);
                    first = first.or(Some(place));
                }
                Outgoing::Notice(_) | Outgoing::Answer(_) | Outgoing::Sync(_) | Outgoing::Ping => place += 1,
            }
        }
        first.unwrap_or(self.waiting.len())
    }

    /// The present state, after newer ones may have been lost: from now on they never were.
    pub(super) fn restored(&mut self, tag: StateTag, message: QueuedMessage) {
        if self.newest > Some(tag) {
            self.newest = None;
        }
        self.state(tag, message);
    }

    /// A message that must not be lost. One too many, and the client is too slow.
    pub(super) fn notice(&mut self, message: QueuedMessage) {
        self.push(Outgoing::Notice(message));
    }

    /// The session was deleted, unless that is old news: the last message.
    pub(super) fn deleted(&mut self, tag: StateTag, message: QueuedMessage) {
        if self.newest >= Some(tag) || self.end.is_some() {
            return;
        }
        self.push(Outgoing::Notice(message));
        self.end = self.end.or(Some(OutboxEnd::Deleted));
    }

    /// Nothing more can be heard of the session here.
    pub(super) fn interrupted(&mut self) {
        self.end = self.end.or(Some(OutboxEnd::Interrupted));
    }

    /// What the client asked for.
    pub(super) fn answer(&mut self, message: QueuedMessage) {
        self.push(Outgoing::Answer(message));
    }

    /// The state `tag`, which the client asked for: what is not newer need not be sent any more.
    pub(super) fn sync(&mut self, tag: StateTag, message: QueuedMessage) {
        self.newest = self.newest.max(Some(tag));
        self.push(Outgoing::Sync(message));
    }

    /// Asks whether the client is there.
    pub(super) fn ping(&mut self) {
        self.push(Outgoing::Ping);
    }

    fn push(&mut self, outgoing: Outgoing) {
        if self.end.is_none() {
            self.count(&outgoing);
            self.waiting.push_back(outgoing);
            self.judge();
        }
    }

    /// What the client is greeted with goes first, and with it the state in which it comes in.
    pub(super) fn open(&mut self, connected: QueuedMessage, snapshot: Option<(StateTag, QueuedMessage)>) {
        if let Some((tag, _)) = snapshot {
            self.newest = self.newest.max(Some(tag));
            self.waiting.retain(|waiting| !matches!(waiting, Outgoing::State(old, ..) if *old <= tag));
            self.states = self.waiting.iter().filter(|waiting| matches!(waiting, Outgoing::State(..))).count();
            let states = self.waiting.iter_mut().find_map(|waiting| match waiting {
                Outgoing::State(first, _, skipped) if first.epoch == tag.epoch => Some((first.version, skipped)),
                Outgoing::State(..)
                | Outgoing::Notice(_)
                | Outgoing::Answer(_)
                | Outgoing::Sync(_)
                | Outgoing::Ping => None,
            });
            if let Some((version, skipped)) = states {
                *skipped = version - tag.version - 1;
            }
        }
        let greeting = [Some(Outgoing::Answer(connected)), snapshot.map(|(_, message)| Outgoing::Sync(message))];
        for outgoing in greeting.into_iter().flatten().rev() {
            self.count(&outgoing);
            self.waiting.push_front(outgoing);
        }
        self.is_open = true;
        self.judge();
    }

    /// The next message that may be sent now.
    pub(super) fn take_one(&mut self) -> Option<Outgoing> {
        if self.is_blocked || !self.is_open { None } else { self.pop() }
    }

    /// The next message that may be sent now, and those behind it that can go along.
    pub(super) fn take(&mut self) -> Option<(Outgoing, Vec<Outgoing>)> {
        let first = self.take_one()?;
        let (mut more, mut len) = (Vec::new(), first.len());
        while more.len() + 1 < BATCH_MAX
            && let Some(next) = self.waiting.front().map(Outgoing::len).filter(|next| len + next <= BATCH_LEN_MAX)
        {
            len += next;
            more.extend(self.pop());
        }
        self.judge();
        Some((first, more))
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let next = self.waiting.pop_front()?;
        match &next {
            Outgoing::State(..) => self.states -= 1,
            Outgoing::Notice(message) => self.notices_len -= notice_len(message),
            Outgoing::Answer(_) | Outgoing::Sync(_) => self.answers -= 1,
            Outgoing::Ping => {}
        }
        Some(next)
    }

    fn count(&mut self, outgoing: &Outgoing) {
        match outgoing {
            Outgoing::State(..) => self.states += 1,
            Outgoing::Notice(message) => self.notices_len += notice_len(message),
            Outgoing::Answer(_) | Outgoing::Sync(_) => self.answers += 1,
            Outgoing::Ping => {}
        }
    }

    /// The socket is full: what could not be sent goes before what came meanwhile.
    pub(super) fn block(&mut self, unsent: Vec<Outgoing>) {
        if self.end.is_none_or(|end| end == OutboxEnd::Deleted) {
            for outgoing in unsent.into_iter().rev() {
                self.count(&outgoing);
                self.waiting.push_front(outgoing);
            }
        }
        self.is_blocked = true;
        self.judge();
    }

    /// The socket takes something again.
    pub(super) fn unblock(&mut self) {
        self.is_blocked = false;
        self.judge();
    }

    /// Nothing more is to be sent.
    pub(super) fn close(&mut self, end: OutboxEnd) {
        self.end = Some(end);
        self.waiting.clear();
        (self.states, self.answers, self.notices_len) = (0, 0, 0);
        self.judge();
    }

    /// Counts what waits, and gives up a client that lets too much wait.
    fn judge(&mut self) {
        let waits = if self.is_blocked || !self.is_open { ENTRY_LEN * self.waiting.len() } else { 0 };
        if waits != self.counted {
            self.budget.add(waits as i64 - self.counted as i64);
            self.counted = waits;
        }
        let is_too_much = || self.notices_len > NOTICES_LEN_MAX || self.budget.is_exceeded();
        if waits > 0 && self.end.is_none_or(|end| end == OutboxEnd::Deleted) && is_too_much() {
            self.close(OutboxEnd::TooSlow);
        }
    }

    pub(super) fn end(&self) -> Option<OutboxEnd> {
        self.end
    }

    pub(super) fn newest(&self) -> Option<StateTag> {
        self.newest
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether more states wait than should although nothing is known to be in their way.
    pub(super) fn is_long(&self) -> bool {
        self.states >= STATES_MAX && self.is_open && !self.is_blocked
    }

    /// Whether an answer waits.
    pub(super) fn has_answer(&self) -> bool {
        self.answers > 0
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        self.budget.add(-(self.counted as i64));
    }
}

impl Outgoing {
    /// As it is sent.
    pub(super) fn frame(&self) -> Frame {
        match self {
            Self::State(_, message, skipped) => Frame::update(message.clone(), *skipped),
            Self::Notice(message) | Self::Answer(message) | Self::Sync(message) => Frame::text(message.clone()),
            Self::Ping => Frame::ping(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::State(_, message, _) | Self::Notice(message) | Self::Answer(message) | Self::Sync(message) => {
                message.bytes().len()
            }
            Self::Ping => 0,
        }
    }
}

fn notice_len(message: &QueuedMessage) -> usize {
    message.bytes().len() + ENTRY_LEN
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use prometheus_client::metrics::gauge::Gauge;

    use super::super::budget::{OutboxBudget, QueuedMessage};
    use super::{MessageQueue, NOTICES_LEN_MAX, OutboxEnd, Outgoing, STATES_MAX};
    use crate::engine::StateTag;

    fn tag(epoch: u64, version: u64) -> StateTag {
        StateTag { epoch, version }
    }

    fn text(text: &str) -> QueuedMessage {
        QueuedMessage::new(Bytes::copy_from_slice(text.as_bytes()), &OutboxBudget::new(0, Gauge::default()))
    }

    fn closed() -> MessageQueue {
        MessageQueue::new(&OutboxBudget::new(u64::MAX, Gauge::default()))
    }

    fn open() -> MessageQueue {
        let mut queue = closed();
        queue.open(text("hello"), None);
        assert_eq!(drain(&mut queue), "hello");
        queue
    }

    fn blocked() -> MessageQueue {
        let mut queue = open();
        queue.block(Vec::new());
        queue
    }

    /// What waits, as it would be sent: states by name, with how many they replace.
    fn drain(queue: &mut MessageQueue) -> String {
        queue.unblock();
        let mut all = Vec::new();
        while let Some((first, more)) = queue.take() {
            all.extend(Some(first).into_iter().chain(more).map(|outgoing| match outgoing {
                Outgoing::State(tag, _, 0) => format!("{}.{}", tag.epoch, tag.version),
                Outgoing::State(tag, _, skipped) => format!("{}.{}+{skipped}", tag.epoch, tag.version),
                Outgoing::Notice(message) | Outgoing::Answer(message) | Outgoing::Sync(message) => {
                    String::from_utf8_lossy(message.bytes()).into_owned()
                }
                Outgoing::Ping => "ping".to_owned(),
            }));
        }
        assert_eq!((queue.states, queue.answers, queue.notices_len), (0, 0, 0));
        all.join(" ")
    }

    #[test]
    fn every_state_is_sent_in_order_while_the_socket_takes_them() {
        let mut queue = open();
        queue.notice(text("a"));
        queue.state(tag(1, 1), text(""));
        queue.state(tag(1, 2), text(""));
        queue.notice(text("b"));
        queue.state(tag(1, 3), text(""));
        queue.state(tag(1, 2), text(""));
        assert_eq!(drain(&mut queue), "a 1.1 1.2 b 1.3");
        queue.state(tag(1, 3), text(""));
        queue.state(tag(2, 1), text(""));
        assert_eq!(drain(&mut queue), "2.1");
    }

    #[test]
    fn a_newer_state_takes_the_place_of_those_that_wait_for_a_full_socket() {
        let mut queue = blocked();
        queue.notice(text("a"));
        queue.state(tag(1, 1), text(""));
        queue.notice(text("of 1"));
        queue.state(tag(1, 2), text(""));
        queue.notice(text("of 2"));
        queue.state(tag(1, 3), text(""));
        assert_eq!(drain(&mut queue), "a 1.3+2 of 1 of 2");
        queue.block(Vec::new());
        queue.state(tag(1, 4), text(""));
        assert_eq!(drain(&mut queue), "1.4", "what was sent is not counted again");
    }

    #[test]
    fn what_waited_when_the_socket_became_full_gives_way_too() {
        let mut queue = open();
        for version in 1..=3 {
            queue.state(tag(1, version), text(""));
        }
        let Some((first, more)) = queue.take() else { panic!("they wait") };
        queue.notice(text("late"));
        queue.block(Some(first).into_iter().chain(more).collect());
        assert_eq!(queue.states, 3);
        queue.state(tag(1, 4), text(""));
        assert_eq!(drain(&mut queue), "1.4+3 late");
    }

    #[test]
    fn a_gap_in_what_was_told_is_counted_and_a_new_life_is_none() {
        let mut queue = open();
        queue.state(tag(1, 7), text(""));
        queue.state(tag(1, 9), text(""));
        queue.state(tag(2, 10), text(""));
        queue.state(tag(3, 1), text(""));
        assert_eq!(drain(&mut queue), "1.7 1.9+1 2.10 3.1");
        queue.block(Vec::new());
        queue.state(tag(3, 3), text(""));
        queue.state(tag(3, 6), text(""));
        queue.state(tag(4, 7), text(""));
        assert_eq!(drain(&mut queue), "4.7+5", "2, 3, 4, 5 and 6 were not sent");
    }

    #[test]
    fn no_state_overtakes_an_answer_that_shows_one() {
        let mut queue = blocked();
        queue.state(tag(1, 1), text(""));
        queue.state(tag(1, 2), text(""));
        queue.sync(tag(1, 2), text("sync 2"));
        queue.state(tag(1, 2), text(""));
        queue.state(tag(1, 3), text(""));
        queue.answer(text("result"));
        queue.ping();
        queue.state(tag(1, 4), text(""));
        assert!(queue.has_answer());
        assert_eq!(drain(&mut queue), "1.2+1 sync 2 1.4+1 result ping");
        assert!(!queue.has_answer());
        queue.sync(tag(1, 8), text("sync 8"));
        queue.state(tag(1, 7), text(""));
        queue.state(tag(1, 9), text(""));
        assert_eq!(drain(&mut queue), "sync 8 1.9", "a state that was shown is not sent later");
    }

    #[test]
    fn who_joins_is_greeted_and_told_what_came_after_what_it_came_in_with() {
        let mut queue = closed();
        queue.state(tag(1, 3), text(""));
        queue.notice(text("of 3"));
        queue.state(tag(1, 5), text(""));
        queue.state(tag(1, 6), text(""));
        assert!(queue.take().is_none(), "it was not greeted");
        queue.open(text("hello"), Some((tag(1, 3), text("sync 3"))));
        assert_eq!(drain(&mut queue), "hello sync 3 of 3 1.5+1 1.6");
        let mut queue = closed();
        queue.state(tag(1, 3), text(""));
        queue.open(text("hello"), Some((tag(1, 9), text("sync 9"))));
        queue.state(tag(1, 9), text(""));
        queue.state(tag(1, 10), text(""));
        assert_eq!(drain(&mut queue), "hello sync 9 1.10");
    }

    #[test]
    fn a_restored_state_counts_although_it_is_older() {
        let mut queue = open();
        queue.state(tag(1, 5), text(""));
        queue.restored(tag(1, 3), text(""));
        queue.state(tag(1, 2), text(""));
        assert_eq!(drain(&mut queue), "1.5 1.3");
        queue.restored(tag(1, 3), text(""));
        assert_eq!(drain(&mut queue), "", "the client has it already");
        queue.state(tag(2, 4), text(""));
        assert_eq!(drain(&mut queue), "2.4");
    }

    #[test]
    fn a_deletion_is_the_last_message_and_old_ones_do_not_count() {
        let mut queue = open();
        queue.state(tag(2, 1), text(""));
        queue.deleted(tag(1, 9), text("old"));
        assert_eq!(drain(&mut queue), "2.1");
        queue.deleted(tag(2, 2), text("gone"));
        queue.state(tag(3, 1), text(""));
        queue.notice(text("a"));
        assert_eq!((drain(&mut queue).as_str(), queue.end()), ("gone", Some(OutboxEnd::Deleted)));
    }

    #[test]
    fn all_that_ran_out_in_one_change_is_told_and_only_who_reads_nothing_is_too_slow() {
        let flag = "x".repeat(190);
        let mut queue = blocked();
        for _ in 0..3_000 {
            queue.notice(text(&flag));
        }
        assert_eq!(queue.end(), None);
        assert_eq!(drain(&mut queue).split(' ').count(), 3_000);
        let mut reads = open();
        for _ in 0..NOTICES_LEN_MAX / 100 {
            queue.notice(text(&flag));
            reads.notice(text(&flag));
        }
        assert_eq!(reads.end(), None, "nobody has tried to send it yet");
        queue.block(Vec::new());
        assert_eq!((queue.end(), queue.is_empty()), (Some(OutboxEnd::TooSlow), true));
        queue.state(tag(1, 1), text(""));
        assert!(queue.is_empty());
    }

    #[test]
    fn what_waits_takes_room_until_it_is_sent_or_given_up() {
        let used = Gauge::default();
        let budget = OutboxBudget::new(1_000, used.clone());
        let message = |len: usize| QueuedMessage::new(Bytes::from(vec![b'x'; len]), &budget);
        let mut queue = MessageQueue::new(&budget);
        queue.open(message(5), None);
        assert_eq!(used.get(), 5, "nothing is known to be in its way");
        assert!(queue.take().is_some());
        queue.block(Vec::new());
        queue.state(tag(1, 1), message(100));
        queue.notice(message(100));
        assert_eq!(used.get(), 200 + 2 * 64);
        queue.state(tag(1, 2), message(50));
        assert_eq!(used.get(), 150 + 2 * 64);
        let other = message(900);
        queue.notice(message(10));
        assert_eq!((queue.end(), used.get()), (Some(OutboxEnd::TooSlow), 900));
        drop(other);
        let mut queue = MessageQueue::new(&budget);
        queue.notice(message(1));
        assert_eq!(used.get(), 65);
        drop(queue);
        assert_eq!((used.get(), Arc::strong_count(&budget)), (0, 2));
    }

    #[test]
    fn nobody_is_given_up_who_was_only_not_sent_anything_yet() {
        let budget = OutboxBudget::new(0, Gauge::default());
        let mut queue = MessageQueue::new(&budget);
        queue.open(QueuedMessage::new(Bytes::from_static(b"hello"), &budget), None);
        let waiting: Vec<_> = (1..=3).map(|version| (version, QueuedMessage::new(Bytes::new(), &budget))).collect();
        for (version, message) in waiting {
            queue.state(tag(1, version), message);
        }
        assert_eq!((queue.end(), queue.states), (None, 3), "the socket is not known to be full");
        let mut queue = open();
        for version in 1..=STATES_MAX as u64 {
            assert!(!queue.is_long());
            queue.state(tag(1, version), text(""));
        }
        assert!(queue.is_long(), "whoever tells sends");
    }
}
