//! Watched sessions that outlive their lifetime: when each is to be looked at again, and what whoever watches is told when it
//! is gone. Does not know connections.

use std::collections::BTreeSet;

use crate::engine::{Millis, SessionId, Timestamp};
use crate::store::{Lifetimes, Update};
use crate::wire::{self, RecordBody, Standing};

use super::super::reader::Found;
use super::super::slot;
use super::topic::{Made, Topic};
use super::{Feed, Look, Why};

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
    pub(super) fn expect(&mut self, id: SessionId, topic: &mut Topic, at: Timestamp) {
        match topic.look_at {
            Some(sooner) if sooner <= at => return,
            Some(later) => drop(self.order.remove(&(later, id))),
            None => {}
        }
        topic.look_at = Some(at);
        self.order.insert((at, id));
    }

    /// The same, when it has outlived its lifetime, if that is known.
    pub(super) fn expect_end(&mut self, id: SessionId, topic: &mut Topic) {
        if let Some(until) = topic.kept_until() {
            self.expect(id, topic, until);
        }
    }

    /// A session is not watched any more.
    pub(super) fn forget(&mut self, id: SessionId, topic: &Topic) {
        if let Some(at) = topic.look_at {
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
pub(super) fn made(lifetimes: &Lifetimes, state: &[u8], written_at: Option<Timestamp>) -> Made {
    let changed_at = wire::changed_at(state).unwrap_or_default();
    let at = written_at.unwrap_or(changed_at);
    let until =
        |(status, deadline): Standing| at + Millis::new(slot::seconds(lifetimes.of(status, deadline, at)) * 1_000);
    Made { changed_at, kept_until: wire::standing(state).map(until) }
}

impl Feed {
    /// Looks at watched sessions whose lifetime should be over.
    pub(super) fn look_at_lapsed(&mut self) -> Vec<Look> {
        let (now, mut looks) = (self.shared.estimate(), Vec::new());
        while looks.len() < LOOKS_MAX
            && let Some(id) = self.lapses.due(now)
        {
            let Some(topic) = self.topics.get_mut(&id) else { continue };
            topic.look_at = None;
            match topic.kept_until() {
                Some(until) if until > now => self.lapses.expect(id, topic, until),
                // Whoever watches next reads it anew.
                Some(_) if !topic.is_watched() => topic.miss(),
                Some(_) => looks.push(self.look(id, Why::Lifetime)),
                None => {}
            }
        }
        looks
    }

    /// A session whose lifetime should be over was looked at, if that could be done.
    pub(super) fn is_looked_at(&mut self, id: SessionId, found: Option<Found>) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        if let Some(found) = found {
            let is_known = match &found.kept {
                Some((_, RecordBody::State(tag, members))) => {
                    topic.is_kept(*tag, made(&self.shared.lifetimes, members, found.written_at))
                }
                Some((_, RecordBody::Tombstone(_))) | None => false,
            };
            if !is_known {
                self.catch(id, found, false);
            }
        }
        let (now, topic) = (self.shared.estimate(), self.topics.get_mut(&id));
        if let Some((until, topic)) = topic.and_then(|topic| Some((topic.kept_until()?, topic))) {
            // Another instance may keep it for longer than this one would.
            let pause = now.since(until).clamp(PAUSE.0, PAUSE.1);
            self.lapses.expect(id, topic, until.max(now + pause));
        }
    }

    /// Nothing is stored of a session: whoever watches one that has outlived its lifetime is told. One that is gone before, since
    /// somebody has emptied Redis, may come back, and is told of when its lifetime is over.
    pub(super) fn is_missing(&mut self, id: SessionId, now: Timestamp) {
        let end = self.topics.get_mut(&id).and_then(|topic| topic.lapses(now));
        if let Some(tag) = end {
            self.shared.listener.update(id, &Update::Deleted { tag, frame: wire::lapsed(id, now) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lapses, Made, Topic};
    use crate::engine::{SessionId, StateTag, Timestamp, Uuid};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn tag(epoch: u64, version: u64) -> StateTag {
        StateTag { epoch, version }
    }

    fn kept_until(ms: u64) -> Option<Made> {
        Some(Made { changed_at: at(0), kept_until: Some(at(ms)) })
    }

    #[test]
    fn a_session_is_looked_at_when_the_shortest_lifetime_since_is_over() {
        let (mut lapses, mut topic) = (Lapses::default(), Topic::default());
        let id = SessionId(Uuid::from_bits(1));
        lapses.expect_end(id, &mut topic);
        assert_eq!(lapses.due(at(u64::MAX)), None, "nothing is known of it");
        for (version, until, expected) in [(1, 50, 50), (2, 70, 50), (3, 40, 40)] {
            topic.heard(tag(1, version), kept_until(until));
            lapses.expect_end(id, &mut topic);
            assert_eq!(topic.look_at, Some(at(expected)), "{version}");
        }
        assert_eq!((lapses.due(at(39)), lapses.order.len()), (None, 1));
        assert_eq!((lapses.due(at(40)), lapses.due(at(u64::MAX))), (Some(id), None), "once");
        topic.look_at = None;
        lapses.expect_end(id, &mut topic);
        lapses.forget(id, &topic);
        assert!(lapses.order.is_empty());
    }

    #[test]
    fn a_lapse_is_an_end_and_another_session_may_follow() {
        let mut topic = Topic::default();
        assert_eq!(topic.lapses(at(100)), None, "there was none");
        topic.heard(tag(7, 3), kept_until(50));
        assert_eq!(topic.lapses(at(49)), None, "it was lost, and may come back");
        assert_eq!(topic.lapses(at(50)), Some(tag(7, 4)));
        assert_eq!((topic.lapses(at(100)), topic.kept_until()), (None, None), "once");
        topic.heard(tag(90, 1), kept_until(150));
        topic.heard(tag(90, 2), None);
        assert_eq!(topic.lapses(at(200)), None, "it was deleted, and that was told");
    }
}
