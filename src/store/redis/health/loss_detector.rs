//! What was acknowledged a moment ago: when Redis comes back as another run of itself, this is read again
//! before anything is committed there, since such a server may have forgotten it. Does not know what the
//! changes were.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tracing::{error, info};

use crate::clock::Moment;
use crate::engine::{SessionId, StateTag};
use crate::hashing::HashMap;
use crate::redis::{Keyspace, Pipeline, RedisConnection, RedisError};
use crate::store::Metrics;
use crate::store::redis::replies;
use crate::wire::{self, RecordBody};

/// How long before the last change others are remembered: `everysec` loses a second or two, and a master that was cut
/// off takes changes for as long as its replicas may be behind (`min-replicas-max-lag`, 10 s unless it is set).
const AGE_MAX: Duration = Duration::from_secs(15);
/// How long after its change a state is certain to be kept.
const LIFETIME_MIN: Duration = Duration::from_secs(3_600);
/// Sessions that are remembered at most; what is older is forgotten first.
const SESSIONS_MAX: usize = 65_536;
/// Sessions that are read together.
const CHUNK: usize = 256;

/// The newest state of each session that was acknowledged in the last seconds.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct LossDetector {
    kept: Mutex<RecentCommits>,
}

#[derive(Debug, Default)]
struct RecentCommits {
    /// The run of the server that all of it was committed to.
    run: Option<Arc<str>>,
    newest: HashMap<SessionId, Acknowledged>,
    /// Every session once; it may have been changed again since.
    order: VecDeque<(Moment, SessionId)>,
}

/// A state that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acknowledged {
    at: Moment,
    tag: StateTag,
    /// Then it may be missing: tombstones have a lifetime of their own.
    is_deleted: bool,
}

impl LossDetector {
    /// From now on only what is committed to this run of the server is acknowledged.
    pub(in crate::store::redis) fn begin(&self, run: &Arc<str>) {
        self.kept.lock().run = Some(Arc::clone(run));
    }

    /// States are about to be acknowledged that were committed to a run of the server. `false` when it is over: then
    /// they are not to be acknowledged, since their loss would not be detected.
    #[must_use]
    pub(in crate::store::redis) fn remember(
        &self,
        run: &Arc<str>,
        states: impl Iterator<Item = (SessionId, StateTag, bool)>,
        now: Moment,
    ) -> bool {
        let mut kept = self.kept.lock();
        if kept.run.as_ref().is_some_and(|present| present != run) {
            return false;
        }
        for (id, tag, is_deleted) in states {
            if kept.newest.insert(id, Acknowledged { at: now, tag, is_deleted }).is_none() {
                kept.order.push_back((now, id));
            }
        }
        kept.forget_old(now);
        true
    }

    /// When a state was acknowledged; `None` when this instance did not, or long ago.
    pub(in crate::store::redis) fn acknowledged_at(&self, id: SessionId, tag: StateTag) -> Option<Moment> {
        let kept = self.kept.lock();
        kept.newest.get(&id).filter(|newest| newest.tag == tag).map(|newest| newest.at)
    }

    /// What was acknowledged in the last seconds of acknowledging, and must still be kept.
    fn recent(&self, now: Moment) -> Vec<(SessionId, Acknowledged)> {
        let kept = self.kept.lock();
        let recent = kept.newest.iter().filter(|(_, newest)| now.since(newest.at) < LIFETIME_MIN);
        recent.map(|(id, newest)| (*id, *newest)).collect()
    }

    /// Forgets what was compared, unless it has been changed since.
    fn forget(&self, compared: &[(SessionId, Acknowledged)]) {
        let mut kept = self.kept.lock();
        for (id, was) in compared {
            if kept.newest.get(id) == Some(was) {
                kept.newest.remove(id);
            }
        }
        let RecentCommits { newest, order, .. } = &mut *kept;
        order.retain(|(_, id)| newest.contains_key(id));
    }
}

impl RecentCommits {
    fn forget_old(&mut self, now: Moment) {
        while let Some(&(at, id)) = self.order.front()
            && (now.since(at) > AGE_MAX || self.order.len() > SESSIONS_MAX)
        {
            self.order.pop_front();
            match self.newest.get(&id).map(|newest| newest.at) {
                Some(newer) if newer > at => self.order.push_back((newer, id)),
                Some(_) | None => {
                    self.newest.remove(&id);
                }
            }
        }
    }
}

/// Compares what was acknowledged with what is there, reports what is behind, and begins anew. Until then nothing is
/// committed there, and what was committed elsewhere is not acknowledged any more.
pub(in crate::store::redis) async fn compare(
    detector: &LossDetector,
    keyspace: &Keyspace,
    connection: &mut RedisConnection,
    metrics: &Metrics,
    now: Moment,
) -> Result<(), RedisError> {
    detector.begin(connection.run_id());
    let acknowledged = detector.recent(now);
    let (checked, mut behind) = (acknowledged.len(), 0);
    for some in acknowledged.chunks(CHUNK) {
        let mut commands = Pipeline::new();
        commands.cmd("MGET").args(some.iter().map(|(id, _)| keyspace.session(*id)));
        let mut replies = connection.ask(&commands).await?.into_iter();
        let values = replies::values(replies::next(&mut replies)?, some.len())?;
        behind += some.iter().zip(values).filter(|((_, was), value)| is_behind(*was, value.as_ref())).count() as u64;
    }
    if behind == 0 {
        info!(checked, "Redis was restarted or replaced: nothing that was acknowledged is missing");
    } else {
        metrics.behind(behind);
        error!(behind, checked, "Redis was restarted or replaced, and forgot acknowledged changes");
    }
    detector.forget(&acknowledged);
    Ok(())
}

/// Whether something that was acknowledged is missing in what is there. Others may have gone on from there already, in
/// a later epoch: its base tells from where. If they did so twice the first base is not known any more, and what is
/// not certain to be there counts as missing.
fn is_behind(was: Acknowledged, value: Option<&Bytes>) -> bool {
    let value = value.map(|value| wire::modern(value.clone()));
    let found = value.map(|value| Ok((wire::peek(&value)?, wire::read_header(&value)?.base)));
    match found {
        None => !was.is_deleted,
        Some(Err(wire::NotARecord)) => true,
        Some(Ok(((_, RecordBody::State(found, _) | RecordBody::Tombstone(found)), base))) => {
            if found.epoch <= was.tag.epoch {
                found < was.tag
            } else if base.epoch == 0 {
                // It was not there, and was created, or came back from the archive.
                !was.is_deleted && base.version < was.tag.version
            } else {
                base < was.tag || base.epoch > was.tag.epoch
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;

    use super::{AGE_MAX, Acknowledged, LIFETIME_MIN, LossDetector, SESSIONS_MAX, is_behind};
    use crate::clock::{Clock, Moment};
    use crate::engine::{SessionId, StateTag, Uuid};
    use crate::wire::{self, RecordHeader};

    fn id(n: usize) -> SessionId {
        SessionId(Uuid::from_bits(n as u128))
    }

    fn tag(epoch: u64, version: u64) -> StateTag {
        StateTag { epoch, version }
    }

    fn remember(history: &LossDetector, n: usize, version: u64, now: Moment) {
        assert!(history.remember(&Arc::from("run"), [(id(n), tag(1, version), false)].into_iter(), now));
    }

    fn recent(history: &LossDetector, now: Moment) -> Vec<(SessionId, StateTag)> {
        let mut recent: Vec<_> = history.recent(now).into_iter().map(|(id, was)| (id, was.tag)).collect();
        recent.sort_unstable();
        recent
    }

    #[test]
    fn remembers_the_newest_state_of_the_last_seconds() {
        let (history, start) = (LossDetector::default(), Clock::system().moment());
        remember(&history, 1, 1, start);
        remember(&history, 2, 1, start);
        let later = start + AGE_MAX;
        remember(&history, 1, 2, later);
        let soon = later + Duration::from_millis(1);
        remember(&history, 3, 7, soon);
        assert_eq!(history.acknowledged_at(id(1), tag(1, 2)), Some(later));
        assert_eq!(history.acknowledged_at(id(1), tag(1, 1)), None);
        // However long nothing could be acknowledged.
        let after_an_outage = soon + 6 * AGE_MAX;
        assert_eq!(recent(&history, after_an_outage), [(id(1), tag(1, 2)), (id(3), tag(1, 7))]);
        assert_eq!(recent(&history, later + LIFETIME_MIN), [(id(3), tag(1, 7))]);
        let compared = history.recent(soon);
        remember(&history, 3, 8, soon);
        history.forget(&compared);
        assert_eq!(recent(&history, soon), [(id(3), tag(1, 8))], "what was not compared stays");
        remember(&history, 4, 1, soon + 2 * AGE_MAX);
        assert_eq!(recent(&history, soon), [(id(4), tag(1, 1))]);
    }

    #[test]
    fn is_bounded_by_sessions_and_not_by_changes() {
        let (history, start) = (LossDetector::default(), Clock::system().moment());
        let at = |ms: usize| start + Duration::from_millis(ms as u64);
        remember(&history, 0, 1, start);
        for n in 0..SESSIONS_MAX {
            remember(&history, 1, n as u64, at(n % 10));
        }
        assert_eq!(recent(&history, start).len(), 2);
        for n in 2..SESSIONS_MAX + 10 {
            remember(&history, n, 1, at(20));
        }
        remember(&history, 1, 7, at(30));
        assert_eq!(history.recent(start).len(), SESSIONS_MAX);
        assert_eq!(history.kept.lock().order.len(), SESSIONS_MAX);
        assert_eq!(history.acknowledged_at(id(1), tag(1, 7)), Some(at(30)), "the oldest goes first");
        assert_eq!(history.acknowledged_at(id(0), tag(1, 1)), None);
    }

    #[test]
    fn admits_what_is_committed_to_the_present_run() {
        let (history, now) = (LossDetector::default(), Clock::system().moment());
        let (old, new) = (Arc::from("old"), Arc::from("new"));
        let state = || [(id(1), tag(1, 1), false)].into_iter();
        assert!(history.remember(&old, state(), now));
        history.begin(&new);
        assert!(!history.remember(&old, state(), now) && history.remember(&new, state(), now));
    }

    #[test]
    fn tells_what_is_missing_from_what_others_made_of_it() {
        let state = |base: StateTag, StateTag { epoch, version }: StateTag| {
            let header = RecordHeader { base, ..RecordHeader::default() };
            let mut value = Vec::new();
            wire::encode_header(&mut value, &header);
            value.extend_from_slice(format!(r#""version":{version},"epoch":{epoch}}}"#).as_bytes());
            Bytes::from(value)
        };
        let created = tag(0, 0);
        for (was, base, found, expected, what) in [
            (tag(5, 9), created, Some(tag(5, 9)), false, "it is there"),
            (tag(5, 9), created, Some(tag(5, 12)), false, "others changed it since"),
            (tag(5, 9), created, Some(tag(5, 8)), true, "it is gone"),
            (tag(5, 9), created, Some(tag(4, 20)), true, "with its epoch"),
            (tag(5, 9), created, None, true, "the session is gone"),
            (tag(5, 9), tag(5, 9), Some(tag(7, 10)), false, "others went on from it"),
            (tag(5, 9), tag(5, 8), Some(tag(7, 9)), true, "others went on from before it"),
            (tag(5, 9), tag(5, 8), Some(tag(7, 30)), true, "and far"),
            (tag(5, 9), tag(7, 10), Some(tag(8, 11)), true, "nobody knows any more"),
            (tag(5, 9), created, Some(tag(7, 30)), true, "it was created anew"),
            (tag(5, 9), tag(0, 9), Some(tag(7, 10)), false, "it came back from the archive"),
            (tag(5, 9), tag(0, 8), Some(tag(7, 30)), true, "it came back as it had been before"),
        ] {
            let was = Acknowledged { at: Clock::system().moment(), tag: was, is_deleted: false };
            let value = found.map(|found| state(base, found));
            assert_eq!(is_behind(was, value.as_ref()), expected, "{what}");
        }
    }

    #[test]
    fn a_deletion_may_be_forgotten_in_time() {
        let was = Acknowledged { at: Clock::system().moment(), tag: tag(5, 9), is_deleted: true };
        let buried = |base, found| {
            let mut value = Vec::new();
            wire::encode_tombstone(&mut value, &RecordHeader { base, ..RecordHeader::default() }, found);
            Bytes::from(value)
        };
        assert!(!is_behind(was, None));
        assert!(!is_behind(was, Some(&buried(tag(0, 0), tag(5, 9)))));
        assert!(!is_behind(was, Some(&buried(tag(0, 0), tag(6, 1)))), "it was created anew since");
        assert!(is_behind(was, Some(&buried(tag(5, 8), tag(6, 9)))), "it was not there when others went on");
    }
}
