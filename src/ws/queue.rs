//! One client's messages in order: every state while its socket takes them, and otherwise the newest one, which says how many it
//! replaces. Plain data; does not know sockets, nor when something is sent.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::StateTag;

use super::budget::{OutboxBudget, QueuedMessage};
use super::outgoing::{OutboxEnd, Outgoing};

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
    /// A task waits for the next change.
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

    /// Updates of the session end here.
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

fn notice_len(message: &QueuedMessage) -> usize {
    message.bytes().len() + ENTRY_LEN
}

#[cfg(test)]
mod tests;
