//! What was acknowledged a moment ago: when Redis comes back as another run of itself, this is read again,
//! since such a server may have forgotten it. Does not know what the changes were.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tracing::{error, info, warn};

use crate::clock::Moment;
use crate::engine::{Millis, SessionId, StateTag};
use crate::redis::{Link, LinkError};
use crate::wire::{self, Kept};

use super::{Shared, replies};

/// How long a change is remembered: `everysec` loses a second or two, a failover some more.
const AGE_MAX: Duration = Duration::from_millis(AGE_MAX_MS.as_ms());
/// The same.
pub(super) const AGE_MAX_MS: Millis = Millis::new(10_000);
/// Sessions that are remembered at most; what is older is forgotten first.
const SESSIONS_MAX: usize = 65_536;
/// Sessions that are read together.
const CHUNK: usize = 256;
/// How often the comparison is tried, and how long it waits in between.
const TRIES_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// The newest state of each session that was acknowledged in the last seconds.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: Mutex<Acknowledged>,
    /// Sessions that were found behind what was acknowledged.
    forgotten: AtomicU64,
}

#[derive(Debug, Default)]
struct Acknowledged {
    newest: HashMap<SessionId, (Moment, StateTag)>,
    order: VecDeque<(Moment, SessionId)>,
}

impl History {
    /// A state is about to be acknowledged.
    pub(super) fn remember(&self, id: SessionId, tag: StateTag, now: Moment) {
        let mut kept = self.kept.lock();
        kept.newest.insert(id, (now, tag));
        kept.order.push_back((now, id));
        while let Some(&(at, id)) = kept.order.front()
            && (now.since(at) > AGE_MAX || kept.order.len() > SESSIONS_MAX)
        {
            kept.order.pop_front();
            if kept.newest.get(&id).is_some_and(|(latest, _)| *latest == at) {
                kept.newest.remove(&id);
            }
        }
    }

    /// When a state was acknowledged; `None` when this instance did not, or long ago.
    pub(super) fn acknowledged_at(&self, id: SessionId, tag: StateTag) -> Option<Moment> {
        let kept = self.kept.lock();
        kept.newest.get(&id).filter(|(_, newest)| *newest == tag).map(|(at, _)| *at)
    }

    /// How many sessions were found behind what was acknowledged, since the start.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// All that was acknowledged in the last seconds; it is not remembered any more.
    pub(super) fn take(&self, now: Moment) -> Vec<(SessionId, StateTag)> {
        let newest = std::mem::take(&mut *self.kept.lock()).newest;
        let recent = newest.into_iter().filter(|(_, (at, _))| now.since(*at) <= AGE_MAX);
        recent.map(|(id, (_, tag))| (id, tag)).collect()
    }
}

/// Compares what was acknowledged with what is there, and tells what is behind.
pub(super) async fn compare(shared: Arc<Shared>, acknowledged: Vec<(SessionId, StateTag)>) {
    for _ in 0..TRIES_MAX {
        match count_behind(&shared, &acknowledged).await {
            Ok(0) => {
                info!(checked = acknowledged.len(), "Redis was restarted: nothing that was acknowledged is missing");
                return;
            }
            Ok(behind) => {
                shared.history.forgotten.fetch_add(behind, Ordering::Relaxed);
                error!(behind, checked = acknowledged.len(), "Redis was restarted and forgot acknowledged changes");
                return;
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    warn!(unchecked = acknowledged.len(), "Redis was restarted: what was acknowledged could not be compared");
}

async fn count_behind(shared: &Shared, acknowledged: &[(SessionId, StateTag)]) -> Result<u64, LinkError> {
    let mut link: Link = shared.server.connect().await?;
    let mut behind = 0;
    for some in acknowledged.chunks(CHUNK) {
        let mut commands = redis::pipe();
        commands.cmd("MGET").arg(some.iter().map(|(id, _)| shared.keyspace.session(*id)).collect::<Vec<_>>());
        let mut replies = link.ask(&commands).await?.into_iter();
        let values = replies::values(replies::next(&mut replies)?)?;
        behind += some.iter().zip(values).filter(|((_, tag), value)| is_behind(*tag, value.as_ref())).count() as u64;
    }
    Ok(behind)
}

/// A state of a later epoch with no higher version was made from an earlier one than `tag`.
fn is_behind(tag: StateTag, value: Option<&Bytes>) -> bool {
    match value.map(wire::glance) {
        None => true,
        Some(Ok((_, Kept::State(found, _) | Kept::Tombstone(found)))) => {
            found < tag || (found.epoch > tag.epoch && found.version <= tag.version)
        }
        Some(Err(wire::NotStored)) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AGE_MAX, History, SESSIONS_MAX};
    use crate::clock::Clock;
    use crate::engine::{SessionId, StateTag, Uuid};

    fn id(n: usize) -> SessionId {
        SessionId(Uuid::from_bits(n as u128))
    }

    #[test]
    fn remembers_the_newest_state_of_the_last_seconds() {
        let (history, start) = (History::default(), Clock::system().moment());
        let tag = |version| StateTag { epoch: 1, version };
        history.remember(id(1), tag(1), start);
        history.remember(id(2), tag(1), start);
        let later = start + AGE_MAX;
        history.remember(id(1), tag(2), later);
        let soon = later + Duration::from_millis(1);
        history.remember(id(3), tag(7), soon);
        assert_eq!(history.acknowledged_at(id(1), tag(2)), Some(later));
        assert_eq!(history.acknowledged_at(id(1), tag(1)), None);
        let mut taken = history.take(soon);
        taken.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(taken, [(id(1), tag(2)), (id(3), tag(7))]);
        assert!(history.take(soon).is_empty());
    }

    #[test]
    fn is_bounded() {
        let (history, now) = (History::default(), Clock::system().moment());
        for n in 0..SESSIONS_MAX + 10 {
            history.remember(id(n), StateTag { epoch: 1, version: 1 }, now);
        }
        assert!(history.take(now).len() <= SESSIONS_MAX);
    }
}
