//! Watched sessions that outlive their lifetime: when each is to be looked at again, and what whoever watches is told when it
//! is gone. Does not know connections.

use std::collections::BTreeSet;

use crate::engine::{Millis, SessionId, Timestamp};
use crate::store::redis::commit::seconds;
use crate::store::redis::read::reader::StoredRecord;
use crate::store::{Lifetimes, Update};
use crate::wire::{self, RecordBody, Standing};

use super::channel::{Channel, StateOrigin};
use super::{PendingRead, Subscriptions, Why};

/// Sessions that are looked at together at most.
const LOOKS_MAX: usize = 256;
/// How soon one is looked at again that is still there, at least and at most: as long again as it is overdue.
const PAUSE: (Millis, Millis) = (Millis::new(250), Millis::new(30_000));

/// When watched sessions are to be looked at.
#[derive(Debug, Default)]
pub(super) struct Lapses {
    order: BTreeSet<(Timestamp, SessionId)>,
}

impl Lapses {
    /// A session is looked at then, unless it is sooner anyway: a change mostly keeps it for longer, and then nothing moves.
    pub(super) fn expect(&mut self, id: SessionId, channel: &mut Channel, at: Timestamp) {
        match channel.look_at {
            Some(sooner) if sooner <= at => return,
            Some(later) => drop(self.order.remove(&(later, id))),
            None => {}
        }
        channel.look_at = Some(at);
        self.order.insert((at, id));
    }

    /// The same, when it has outlived its lifetime, if that is known.
    pub(super) fn expect_end(&mut self, id: SessionId, channel: &mut Channel) {
        if let Some(until) = channel.kept_until() {
            self.expect(id, channel, until);
        }
    }

    /// A session is not watched any more.
    pub(super) fn forget(&mut self, id: SessionId, channel: &Channel) {
        if let Some(at) = channel.look_at {
            self.order.remove(&(at, id));
        }
    }

    /// Takes out a session that is to be looked at.
    fn due(&mut self, now: Timestamp) -> Option<SessionId> {
        self.order.first().filter(|(at, _)| *at <= now)?;
        self.order.pop_first().map(|(_, id)| id)
    }
}

/// What the bytes of a state, or of a message that carries it, tell of how it was made. It was written then, or at its last
/// change or later.
pub(super) fn made(lifetimes: &Lifetimes, state: &[u8], written_at: Option<Timestamp>) -> StateOrigin {
    let changed_at = wire::changed_at(state).unwrap_or_default();
    let at = written_at.unwrap_or(changed_at);
    let until = |(status, deadline): Standing| at + Millis::new(seconds(lifetimes.of(status, deadline, at)) * 1_000);
    StateOrigin { changed_at, kept_until: wire::standing(state).map(until) }
}

impl Subscriptions {
    /// Looks at watched sessions whose lifetime should be over.
    pub(super) fn look_at_lapsed(&mut self) -> Vec<PendingRead> {
        let (now, mut looks) = (self.shared.estimate(), Vec::new());
        while looks.len() < LOOKS_MAX
            && let Some(id) = self.lapses.due(now)
        {
            let Some(channel) = self.watched.get_mut(&id) else { continue };
            channel.look_at = None;
            match channel.kept_until() {
                Some(until) if until > now => self.lapses.expect(id, channel, until),
                // Whoever watches next reads it anew.
                Some(_) if !channel.is_watched() => channel.miss(),
                Some(_) => looks.push(self.look(id, Why::Lifetime)),
                None => {}
            }
        }
        looks
    }

    /// A session whose lifetime should be over was looked at, if that could be done.
    pub(super) fn is_looked_at(&mut self, id: SessionId, found: Option<StoredRecord>) {
        let Some(channel) = self.watched.get_mut(&id) else { return };
        if let Some(found) = found {
            let is_known = match &found.kept {
                Some((_, RecordBody::State(tag, members))) => {
                    channel.is_kept(*tag, made(&self.shared.lifetimes, members, found.written_at))
                }
                Some((_, RecordBody::Tombstone(_))) | None => false,
            };
            if !is_known {
                self.catch(id, found, false);
            }
        }
        let (now, channel) = (self.shared.estimate(), self.watched.get_mut(&id));
        if let Some((until, channel)) = channel.and_then(|channel| Some((channel.kept_until()?, channel))) {
            // Another instance may keep it for longer than this one would.
            let pause = now.since(until).clamp(PAUSE.0, PAUSE.1);
            self.lapses.expect(id, channel, until.max(now + pause));
        }
    }

    /// Nothing is stored of a session: whoever watches one that has outlived its lifetime is told. One that is gone before, since
    /// somebody has emptied Redis, may come back, and is told of when its lifetime is over.
    pub(super) fn is_missing(&mut self, id: SessionId, now: Timestamp) {
        let end = self.watched.get_mut(&id).and_then(|channel| channel.lapses(now));
        if let Some(tag) = end {
            self.shared.listener.update(id, &Update::Deleted { tag, frame: wire::lapsed(id, now) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Channel, Lapses, StateOrigin};
    use crate::engine::{SessionId, StateTag, Timestamp, Uuid};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn tag(epoch: u64, version: u64) -> StateTag {
        StateTag { epoch, version }
    }

    fn kept_until(ms: u64) -> Option<StateOrigin> {
        Some(StateOrigin { changed_at: at(0), kept_until: Some(at(ms)) })
    }

    #[test]
    fn a_session_is_looked_at_when_the_shortest_lifetime_since_is_over() {
        let (mut lapses, mut channel) = (Lapses::default(), Channel::default());
        let id = SessionId(Uuid::from_bits(1));
        lapses.expect_end(id, &mut channel);
        assert_eq!(lapses.due(at(u64::MAX)), None, "nothing is known of it");
        for (version, until, expected) in [(1, 50, 50), (2, 70, 50), (3, 40, 40)] {
            channel.heard(tag(1, version), kept_until(until));
            lapses.expect_end(id, &mut channel);
            assert_eq!(channel.look_at, Some(at(expected)), "{version}");
        }
        assert_eq!((lapses.due(at(39)), lapses.order.len()), (None, 1));
        assert_eq!((lapses.due(at(40)), lapses.due(at(u64::MAX))), (Some(id), None), "once");
        channel.look_at = None;
        lapses.expect_end(id, &mut channel);
        lapses.forget(id, &channel);
        assert!(lapses.order.is_empty());
    }

    #[test]
    fn a_lapse_is_an_end_and_another_session_may_follow() {
        let mut channel = Channel::default();
        assert_eq!(channel.lapses(at(100)), None, "there was none");
        channel.heard(tag(7, 3), kept_until(50));
        assert_eq!(channel.lapses(at(49)), None, "it was lost, and may come back");
        assert_eq!(channel.lapses(at(50)), Some(tag(7, 4)));
        assert_eq!((channel.lapses(at(100)), channel.kept_until()), (None, None), "once");
        channel.heard(tag(90, 1), kept_until(150));
        channel.heard(tag(90, 2), None);
        assert_eq!(channel.lapses(at(200)), None, "it was deleted, and that was told");
    }
}
