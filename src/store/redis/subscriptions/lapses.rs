//! Watched sessions that outlive their lifetime: when each is read again. Does not know what its subscribers are sent.

use std::collections::BTreeSet;

use crate::engine::{Millis, SessionId, Timestamp};
use crate::store::Lifetimes;
use crate::store::redis::record_policy::ttl_s;
use crate::wire::{self, LifetimeBasis};

use super::channel::Channel;
use super::newest_state::StateOrigin;

/// When watched sessions are to be looked at.
#[derive(Debug, Default)]
pub(super) struct Lapses {
    order: BTreeSet<(Timestamp, SessionId)>,
}

impl Lapses {
    /// A session is looked at then, unless it is sooner anyway: a change mostly keeps it for longer, and then nothing
    /// moves.
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
    pub(super) fn due(&mut self, now: Timestamp) -> Option<SessionId> {
        self.order.first().filter(|(at, _)| *at <= now)?;
        self.order.pop_first().map(|(_, id)| id)
    }
}

/// When a state was made, from its bytes or from a message that carries it. It was written then, or at its last
/// change or later.
pub(super) fn made(lifetimes: &Lifetimes, state: &[u8], written_at: Option<Timestamp>) -> StateOrigin {
    let changed_at = wire::changed_at(state).unwrap_or_default();
    let at = written_at.unwrap_or(changed_at);
    let until = |(status, deadline): LifetimeBasis| at + Millis::new(ttl_s(lifetimes.of(status, deadline, at)) * 1_000);
    StateOrigin { changed_at, kept_until: wire::lifetime_basis(state).map(until) }
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
