//! What was acknowledged a moment ago: when Redis comes back as another run of itself, this is read again
//! before anything is committed there, since such a server may have forgotten it. Does not know what the
//! changes were.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tracing::{error, info};

use crate::clock::Moment;
use crate::engine::{SessionId, StateTag};
use crate::redis::{Link, LinkError};
use crate::wire::{self, Kept};

use super::{Shared, replies};

/// How long before the last change others are remembered: `everysec` loses a second or two, a failover some more.
const AGE_MAX: Duration = Duration::from_secs(10);
/// How long after its change a state is certain to be kept.
const LIFETIME_MIN: Duration = Duration::from_secs(3_600);
/// Sessions that are remembered at most; what is older is forgotten first.
const SESSIONS_MAX: usize = 65_536;
/// Sessions that are read together.
const CHUNK: usize = 256;

/// The newest state of each session that was acknowledged in the last seconds.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    newest: HashMap<SessionId, Acknowledged>,
    order: VecDeque<(Moment, SessionId)>,
}

/// A state that somebody was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acknowledged {
    at: Moment,
    tag: StateTag,
    /// Then it may be missing: tombstones have a lifetime of their own.
    is_deleted: bool,
}

impl History {
    /// A state is about to be acknowledged.
    pub(super) fn remember(&self, id: SessionId, tag: StateTag, is_deleted: bool, now: Moment) {
        let mut kept = self.kept.lock();
        kept.newest.insert(id, Acknowledged { at: now, tag, is_deleted });
        kept.order.push_back((now, id));
        while let Some(&(at, id)) = kept.order.front()
            && (now.since(at) > AGE_MAX || kept.order.len() > SESSIONS_MAX)
        {
            kept.order.pop_front();
            if kept.newest.get(&id).is_some_and(|newest| newest.at == at) {
                kept.newest.remove(&id);
            }
        }
    }

    /// When a state was acknowledged; `None` when this instance did not, or long ago.
    pub(super) fn acknowledged_at(&self, id: SessionId, tag: StateTag) -> Option<Moment> {
        let kept = self.kept.lock();
        kept.newest.get(&id).filter(|newest| newest.tag == tag).map(|newest| newest.at)
    }

    /// What was acknowledged in the last seconds of acknowledging, and must still be kept.
    fn recent(&self, now: Moment) -> Vec<(SessionId, Acknowledged)> {
        let kept = self.kept.lock();
        let recent = kept.newest.iter().filter(|(_, newest)| now.since(newest.at) < LIFETIME_MIN);
        recent.map(|(id, newest)| (*id, *newest)).collect()
    }

    fn clear(&self) {
        *self.kept.lock() = Recent::default();
    }
}

/// Compares what was acknowledged with what is there, tells what is behind, and begins anew.
pub(super) async fn compare(shared: &Shared, link: &mut Link) -> Result<(), LinkError> {
    let acknowledged = shared.history.recent(shared.clock.moment());
    let (checked, mut behind) = (acknowledged.len(), 0);
    for some in acknowledged.chunks(CHUNK) {
        let mut commands = redis::pipe();
        commands.cmd("MGET").arg(some.iter().map(|(id, _)| shared.keyspace.session(*id)).collect::<Vec<_>>());
        let mut replies = link.ask(&commands).await?.into_iter();
        let values = replies::values(replies::next(&mut replies)?)?;
        behind += some.iter().zip(values).filter(|((_, was), value)| is_behind(*was, value.as_ref())).count() as u64;
    }
    if behind == 0 {
        info!(checked, "Redis was restarted: nothing that was acknowledged is missing");
    } else {
        shared.metrics.behind(behind);
        error!(behind, checked, "Redis was restarted and forgot acknowledged changes");
    }
    shared.history.clear();
    Ok(())
}

/// A state of a later epoch with no higher version was made from an earlier one than what was acknowledged.
fn is_behind(was: Acknowledged, value: Option<&Bytes>) -> bool {
    match value.map(wire::glance) {
        None => !was.is_deleted,
        Some(Ok((_, Kept::State(found, _) | Kept::Tombstone(found)))) => {
            found < was.tag || (found.epoch > was.tag.epoch && found.version <= was.tag.version)
        }
        Some(Err(wire::NotStored)) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AGE_MAX, History, LIFETIME_MIN, SESSIONS_MAX};
    use crate::clock::Clock;
    use crate::engine::{SessionId, StateTag, Uuid};

    fn id(n: usize) -> SessionId {
        SessionId(Uuid::from_bits(n as u128))
    }

    #[test]
    fn remembers_the_newest_state_of_the_last_seconds() {
        let (history, start) = (History::default(), Clock::system().moment());
        let tag = |version| StateTag { epoch: 1, version };
        history.remember(id(1), tag(1), false, start);
        history.remember(id(2), tag(1), false, start);
        let later = start + AGE_MAX;
        history.remember(id(1), tag(2), false, later);
        let soon = later + Duration::from_millis(1);
        history.remember(id(3), tag(7), true, soon);
        assert_eq!(history.acknowledged_at(id(1), tag(2)), Some(later));
        assert_eq!(history.acknowledged_at(id(1), tag(1)), None);
        let recent = |now| {
            let mut recent: Vec<_> = history.recent(now).into_iter().map(|(id, was)| (id, was.tag)).collect();
            recent.sort_unstable();
            recent
        };
        // However long nothing could be acknowledged.
        let after_an_outage = soon + 6 * AGE_MAX;
        assert_eq!(recent(after_an_outage), [(id(1), tag(2)), (id(3), tag(7))]);
        assert_eq!(recent(later + LIFETIME_MIN), [(id(3), tag(7))]);
        history.clear();
        assert!(recent(soon).is_empty());
    }

    #[test]
    fn is_bounded() {
        let (history, now) = (History::default(), Clock::system().moment());
        for n in 0..SESSIONS_MAX + 10 {
            history.remember(id(n), StateTag { epoch: 1, version: 1 }, false, now);
        }
        assert!(history.recent(now).len() <= SESSIONS_MAX);
    }
}
