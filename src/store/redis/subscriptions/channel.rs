//! One watched session: by how many, what was heard of it last, and so which of the messages that come are believed at
//! once. Does not know connections.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Moment;
use crate::engine::{Millis, StateTag, Timestamp};

use super::newest_state::{NewestState, StateOrigin};

/// How long a channel without subscribers is kept.
const LINGER: Duration = Duration::from_secs(3);
/// How far another's clock may be ahead: the epoch of a new session is the time of its creation.
const AHEAD_MAX: Millis = Millis::new(1_000);

/// Messages that are held at most until it is known what to make of them.
const HELD_MAX: usize = 64;

/// A watched session.
#[derive(Debug, Default)]
pub(super) struct Channel {
    watchers: usize,
    unwatched_since: Option<Moment>,
    /// Its channel is heard, and what was heard of it is known.
    pub(super) is_heard: bool,
    newest: Option<NewestState>,
    /// The newest that was handed on.
    told: Option<StateTag>,
    /// Something was published while it had no subscribers.
    is_stale: bool,
    /// What was published before it was known what is stored.
    held: Vec<Bytes>,
    /// The newest state that an unexpected message named: what is stored shows whether it exists.
    doubted: Option<StateTag>,
    refresh: Refresh,
    /// When it will be looked at whether it is still there.
    pub(super) look_at: Option<Timestamp>,
}

/// Whether the stored state is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Refresh {
    #[default]
    None,
    Begun,
    /// Something came meanwhile that it may not show.
    BegunTooEarly,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// Hand it on.
    Sure,
    /// Let the stored state say what is so.
    Doubt,
    /// It was handed on before, or overtaken.
    Old,
}

impl Channel {
    pub(super) fn watch(&mut self) {
        self.watchers += 1;
        self.unwatched_since = None;
    }

    pub(super) fn unwatch(&mut self, now: Moment) {
        self.watchers = self.watchers.saturating_sub(1);
        if self.watchers == 0 {
            self.unwatched_since = Some(now);
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watchers > 0
    }

    /// It has had no subscribers for a while.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.unwatched_since.is_some_and(|since| now.since(since) >= LINGER)
    }

    /// Something was published that is handed to no subscriber.
    pub(super) fn miss(&mut self) {
        self.is_stale = true;
    }

    /// Keeps a message until the stored state is known; beyond the bound that state is read instead.
    pub(super) fn hold(&mut self, message: Bytes) {
        if self.held.len() < HELD_MAX {
            self.held.push(message);
        } else {
            self.refresh = Refresh::Begun;
        }
    }

    /// The channel is subscribed to, and this was stored then. Returns the messages held until now.
    pub(super) fn begin(&mut self, state: Option<(StateTag, StateOrigin)>) -> Vec<Bytes> {
        let was_stale = std::mem::take(&mut self.is_stale);
        if !self.is_heard || was_stale {
            self.is_heard = true;
            // All who watch it now are shown this.
            self.told = state.map(|(tag, _)| tag);
            self.newest = state.map(|(tag, made)| NewestState { tag, made, is_read: false, is_end: false });
        }
        std::mem::take(&mut self.held)
    }

    /// Whether a published state, or deletion, is the one that must come next, or is known: any client of Redis
    /// may publish anything, and a number that is far too high would silence all that come after it.
    pub(super) fn believe(&self, tag: StateTag, now: impl FnOnce() -> Timestamp) -> Belief {
        if Some(tag) <= self.told {
            return Belief::Old;
        }
        let is_sure = match self.newest {
            Some(NewestState { tag: known, .. })
                if tag <= known || (tag.epoch == known.epoch && tag.version == known.version + 1) =>
            {
                true
            }
            Some(NewestState { is_end: false, .. }) => false,
            Some(NewestState { is_end: true, .. }) | None => {
                tag.version == 1 && tag.epoch <= (now() + AHEAD_MAX).as_ms()
            }
        };
        if is_sure { Belief::Sure } else { Belief::Doubt }
    }

    /// Whether a message about a state comes with it, and was not sent already.
    pub(super) fn is_news_of(&self, tag: StateTag) -> bool {
        self.newest.is_some_and(|newest| newest.tag == tag && !newest.is_read)
    }

    /// A state was handed on, or a deletion, which has no time of its own.
    pub(super) fn heard(&mut self, tag: StateTag, made: Option<StateOrigin>) {
        self.told = self.told.max(Some(tag));
        if self.newest.is_none_or(|newest| newest.tag < tag) {
            self.newest = Some(self.newest_of(tag, made, false));
        }
    }

    fn newest_of(&self, tag: StateTag, made: Option<StateOrigin>, is_read: bool) -> NewestState {
        let end = || StateOrigin { changed_at: self.changed_at().unwrap_or_default(), kept_until: None };
        NewestState { tag, made: made.unwrap_or_else(end), is_read, is_end: made.is_none() }
    }

    /// Until when the newest is kept that is known, if it is no end.
    pub(super) fn kept_until(&self) -> Option<Timestamp> {
        self.newest.and_then(|newest| newest.made.kept_until)
    }

    /// What is stored is this; `false` when that is not what is known to be the newest.
    pub(super) fn is_kept(&mut self, tag: StateTag, made: StateOrigin) -> bool {
        match &mut self.newest {
            Some(newest) if newest.tag == tag => {
                newest.made = made;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Nothing is stored any more. Returns what that end is called, if the newest state that is known has outlived its
    /// lifetime: what comes next is another session of that name.
    pub(super) fn lapses(&mut self, now: Timestamp) -> Option<StateTag> {
        let NewestState { tag: StateTag { epoch, version }, made, .. } = self.newest?;
        if made.kept_until? > now {
            return None;
        }
        let end = StateTag { epoch, version: version + 1 };
        self.heard(end, None);
        Some(end)
    }

    /// Something is not believed; whether the stored state must be read now.
    pub(super) fn doubt(&mut self, tag: StateTag) -> bool {
        self.doubted = self.doubted.max(Some(tag));
        let is_first = self.refresh == Refresh::None;
        self.refresh = if self.refresh == Refresh::None { Refresh::Begun } else { Refresh::BegunTooEarly };
        is_first
    }

    /// Whether something was doubted before it was known what is stored.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.refresh != Refresh::None
    }

    /// The stored state was read; whether it must be read again.
    pub(super) fn looked(&mut self) -> bool {
        let again = self.refresh == Refresh::BegunTooEarly;
        self.refresh = if again { Refresh::Begun } else { Refresh::None };
        again
    }

    /// The connection is another one: whatever was being read has been forgotten.
    pub(super) fn is_interrupted(&mut self) {
        (self.refresh, self.doubted) = (Refresh::None, None);
    }

    /// Whether the stored state must be sent: subscribers have neither it nor a newer one, or the newer one is lost.
    pub(super) fn tell(&mut self, tag: StateTag, is_other: bool) -> bool {
        let is_news = is_other || self.told < Some(tag);
        if is_news {
            self.told = Some(tag);
        }
        is_news
    }

    /// What is stored; returns when that changed which was known before, if this is newer, and whether something was
    /// published that spoke of more.
    pub(super) fn read(&mut self, tag: StateTag, made: Option<StateOrigin>) -> (Option<Timestamp>, bool) {
        let is_news = self.newest.is_none_or(|newest| newest.tag < tag);
        let since = is_news.then(|| self.changed_at().unwrap_or_default());
        if self.newest.is_none_or(|newest| newest.tag != tag) {
            self.newest = Some(self.newest_of(tag, made, true));
        }
        let was_misled = self.doubted.take().is_some_and(|doubted| doubted > tag);
        (since, was_misled)
    }

    fn changed_at(&self) -> Option<Timestamp> {
        self.newest.map(|newest| newest.made.changed_at)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Belief, Channel, HELD_MAX, Refresh, StateOrigin};
    use crate::engine::{StateTag, Timestamp};

    fn tag(epoch: u64, version: u64) -> StateTag {
        StateTag { epoch, version }
    }

    fn made(ms: u64) -> StateOrigin {
        StateOrigin { changed_at: Timestamp::from_ms(ms), kept_until: None }
    }

    #[test]
    fn what_comes_next_is_believed_and_nothing_that_is_far_away() {
        let mut channel = Channel::default();
        channel.watch();
        let now = || Timestamp::from_ms(1_000);
        channel.hold(Bytes::from_static(b"early"));
        let held = channel.begin(Some((tag(5, 3), made(30))));
        assert_eq!(held, ["early"], "now it is known what to make of it");
        for (tag, belief) in [
            (tag(5, 3), Belief::Old),
            (tag(5, 2), Belief::Old),
            (tag(4, 9), Belief::Old),
            (tag(5, 4), Belief::Sure),
            (tag(5, 5), Belief::Doubt),
            (tag(6, 1), Belief::Doubt),
            (tag(u64::MAX, 1), Belief::Doubt),
        ] {
            assert_eq!(channel.believe(tag, now), belief, "{tag:?}");
        }
        channel.heard(tag(5, 4), Some(made(40)));
        assert_eq!(channel.believe(tag(5, 4), now), Belief::Old, "it was handed on");
        assert!(channel.is_news_of(tag(5, 4)) && !channel.is_news_of(tag(5, 3)));
        assert!(channel.doubt(tag(9, 9)), "what is stored is read");
        assert!(!channel.doubt(tag(5, 6)), "once");
        assert_eq!(channel.read(tag(5, 6), Some(made(60))), (Some(Timestamp::from_ms(40)), true));
        assert!(channel.looked() && !channel.looked(), "and again for what came meanwhile");
        assert!(!channel.is_news_of(tag(5, 6)), "it was told with it");
        assert_eq!(channel.read(tag(5, 6), Some(made(60))), (None, false), "which is no news");
    }

    #[test]
    fn so_many_messages_are_held_and_then_what_is_stored_is_read() {
        let mut channel = Channel::default();
        channel.watch();
        for _ in 0..HELD_MAX {
            channel.hold(Bytes::from_static(b"early"));
        }
        assert!(!matches!(channel.refresh, Refresh::Begun));
        channel.hold(Bytes::from_static(b"one more"));
        assert!(matches!(channel.refresh, Refresh::Begun));
        assert_eq!(channel.begin(None).len(), HELD_MAX);
    }

    #[test]
    fn a_session_that_was_not_there_begins_now_and_not_in_the_future() {
        let now = || Timestamp::from_ms(1_000_000);
        let mut channel = Channel::default();
        channel.watch();
        assert!(channel.begin(None).is_empty());
        for (tag, belief) in
            [(tag(1_000_000, 1), Belief::Sure), (tag(1_000_000, 2), Belief::Doubt), (tag(2_000_000, 1), Belief::Doubt)]
        {
            assert_eq!(channel.believe(tag, now), belief, "{tag:?}");
        }
        channel.heard(tag(1_000_000, 1), Some(made(1_000_000)));
        assert_eq!(channel.believe(tag(1_000_001, 1), now), Belief::Doubt, "there is one already");
        channel.heard(tag(1_000_000, 2), None);
        assert_eq!(channel.believe(tag(1_000_001, 1), now), Belief::Sure, "it was deleted");
    }
}
