//! The upkeep of the embedded store: finds sessions that are overdue and removes those that have outlived their lifetime.
//! Does not know who settles the former.

use std::sync::atomic::Ordering;

use crate::engine::{Millis, SessionId, StateTag, Timestamp, Uuid};
use crate::store::contract::Update;
use crate::store::durability::Durability;
use crate::supervision::panic_point;
use crate::wire;

use super::embedded::EmbeddedStore;
use super::shard::SessionShard;

/// How many overdue sessions are returned at once.
const OVERDUE_BATCH: usize = 1_024;
/// The pause between sweeps.
const SWEEP_INTERVAL: Millis = Millis::new(1_000);

impl<D: Durability> EmbeddedStore<D> {
    /// Removes sessions that have outlived their lifetime; runs until it is dropped.
    pub(super) async fn sweep(&self) {
        loop {
            panic_point("upkeep", "");
            let now = self.clock.now();
            for shard in &self.shards {
                self.drop_expired(&mut shard.lock(), now);
            }
            self.clock.sleep_until(now + SWEEP_INTERVAL).await;
        }
    }

    fn drop_expired(&self, shard: &mut SessionShard, now: Timestamp) {
        let mut lapsed = Vec::new();
        shard.remove_expired(now, |id, entry| {
            self.durability.forget(id);
            self.bytes.remove(entry.size);
            if let Some(record) = entry.state.record() {
                self.leave(1);
                lapsed.push((id, record.session().tag()));
            }
        });
        for (id, StateTag { epoch, version }) in lapsed {
            if shard.subscribed.contains_key(&id) {
                let (tag, frame) = (StateTag { epoch, version: version + 1 }, wire::lapsed(id, now));
                self.listener.update(id, &Update::Deleted { tag, frame });
            }
        }
        if let Some((due, _)) = shard.deadlines.first() {
            self.alarm.set(*due);
        }
    }

    /// Sessions whose deadline has passed, and the alarm set for the next one.
    pub(super) fn take_overdue(&self) -> Vec<SessionId> {
        // Reset before looking: a deadline that is set meanwhile lowers it again and wakes the next wait.
        self.alarm.earliest_ms.store(u64::MAX, Ordering::Release);
        let now = self.clock.now();
        let mut overdue = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let due = shard.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
            overdue.extend(due.map(|(_, id)| *id).take(OVERDUE_BATCH - overdue.len()));
            let later = (now + Millis::new(1), SessionId(Uuid::from_bits(0)));
            if let Some((deadline, _)) = shard.deadlines.range(later..).next() {
                self.alarm.earliest_ms.fetch_min(deadline.as_ms(), Ordering::AcqRel);
            }
        }
        overdue
    }
}
