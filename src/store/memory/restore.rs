//! A start restores the sessions of a file, by the clock that they went by: the operating system's may have been set since.
//! Does not know how the file is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{error, warn};

use crate::engine::{self, Event, Session};
use crate::store::durability::{Durability, DurableChange};
use crate::store::file::RestoredSession;
use crate::store::record::Record;
use crate::store::stored_state::StoredState;

use super::embedded::EmbeddedStore;
use super::shard::SessionEntry;

impl<D: Durability> EmbeddedStore<D> {
    /// Restores sessions. The upkeep removes those whose lifetime is over.
    pub(super) fn restore(&self, mut restored: Vec<RestoredSession>) {
        // Tombstones are forgotten oldest first.
        restored.sort_unstable_by_key(|restored| match &restored.state {
            StoredState::Session(record) => record.session().epoch,
            StoredState::Tombstone(tag) => tag.epoch,
        });
        self.rebase(&mut restored);
        let committed = self.clock.moment();
        for RestoredSession { id, state, keyed, expires } in restored {
            let mut shard = self.shard(id).lock();
            match &state {
                StoredState::Session(_) => {
                    self.sessions.fetch_add(1, Ordering::Relaxed);
                }
                StoredState::Tombstone(tag) => shard.tombstones.push_back((*tag, id)),
            }
            let due = state.wake_at();
            if let Some(due) = due {
                self.alarm.set(due);
            }
            let (size, is_postponed, is_restored) = (state.size(), false, true);
            self.bytes.add(size);
            shard.insert(
                id,
                SessionEntry { state, keyed, size, committed, expires, due, is_postponed, is_restored, number: 0 },
            );
        }
    }

    /// Moves sessions to the present clock, as they were when the last process ended, if its clock does not go on.
    fn rebase(&self, restored: &mut [RestoredSession]) {
        let now = self.clock.now();
        let changed = |restored: &RestoredSession| match &restored.state {
            StoredState::Session(record) => record.session().depends_on_clock(now).then(|| record.session().updated_at),
            StoredState::Tombstone(_) => None,
        };
        let newest = restored.iter().filter_map(changed).max().unwrap_or_default();
        let Some(was) = self.durability.lost_at(now, newest) else { return };
        let mut sessions = 0;
        for restored in restored {
            let StoredState::Session(record) = &restored.state else { continue };
            if !record.session().depends_on_clock(now) {
                continue;
            }
            sessions += 1;
            let before = record.session().rebased(was, now);
            let epoch = now.as_ms().max(before.epoch + 1);
            let after = Session { epoch, version: before.version + 1, updated_at: now, ..before.clone() };
            let entry = engine::ChangeRecord::of(Some(&before), vec![Event::Recovered], &after, now);
            let record = Arc::new(Record::new(after, now));
            restored.expires = now + record.lifetime(&self.limit.lifetimes, now);
            let put =
                |entry| DurableChange::put(&record, entry, restored.expires).called(None, restored.keyed.as_deref());
            if let Some(entry) = entry
                && let Err(why) = self.durability.enter(restored.id, || put(entry))
            {
                error!(session = %restored.id, ?why, "a session that goes by another clock now could not be written");
            }
            restored.state = StoredState::Session(record);
        }
        if sessions > 0 {
            let by_ms = now.as_ms().wrapping_sub(was.as_ms()).cast_signed();
            warn!(
                by_ms,
                sessions, "the clock was set since the last process ended: sessions go on from where they stood"
            );
        }
    }
}
