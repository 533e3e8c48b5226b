//! What a start takes in from the file, and by which clock: the operating system's may have been set since. Does not know
//! how it is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{debug, error, warn};

use crate::clock::CHECK_INTERVAL;
use crate::engine::{self, Event, Session};
use crate::store::Record;
use crate::store::file::{self, Change, Timeline};
use crate::supervision::Panicked;

use super::Shared;
use super::shard::{Entry, Kept};

impl Shared {
    /// Takes in what was kept. Lifetimes that are over are found by the upkeep.
    pub(super) fn restore(&self, mut remembered: Vec<file::Remembered>) {
        // Tombstones are forgotten oldest first.
        remembered.sort_unstable_by_key(|remembered| match &remembered.kept {
            file::Kept::Session(record) => record.session().epoch,
            file::Kept::Tombstone(tag) => tag.epoch,
        });
        self.rebase(&mut remembered);
        let committed = self.clock.moment();
        for file::Remembered { id, kept, expires } in remembered {
            let mut shard = self.shard(id).lock();
            let kept = match kept {
                file::Kept::Session(record) => {
                    self.sessions.fetch_add(1, Ordering::Relaxed);
                    Kept::Session(record)
                }
                file::Kept::Tombstone(tag) => {
                    shard.buried.push_back((tag, id));
                    Kept::Tombstone(tag)
                }
            };
            let due = kept.wake_at();
            if let Some(due) = due {
                self.alarm.set(due);
            }
            let (size, is_postponed, is_restored) = (kept.size(), false, true);
            self.bytes.add(size);
            shard.insert(id, Entry { kept, size, committed, expires, due, is_postponed, is_restored, number: 0 });
        }
    }

    /// Lets sessions go on from where their clocks stood when the last process ended, if its clock does not go on.
    fn rebase(&self, remembered: &mut [file::Remembered]) {
        let Some(disk) = &self.disk else { return };
        let now = self.clock.now();
        let changed = |remembered: &file::Remembered| match &remembered.kept {
            file::Kept::Session(record) => record.session().depends_on_clock(now).then(|| record.session().updated_at),
            file::Kept::Tombstone(_) => None,
        };
        let newest = remembered.iter().filter_map(changed).max().unwrap_or_default();
        let Some(was) = disk.timeline.lost_at(now, newest) else { return };
        let mut sessions = 0;
        for remembered in remembered {
            let file::Kept::Session(record) = &remembered.kept else { continue };
            if !record.session().depends_on_clock(now) {
                continue;
            }
            sessions += 1;
            let before = record.session().rebased(was, now);
            let epoch = now.as_ms().max(before.epoch + 1);
            let after = Session { epoch, version: before.version + 1, updated_at: now, ..before.clone() };
            let entry = engine::ChangeRecord::of(Some(&before), vec![Event::Recovered], &after, now);
            let record = Arc::new(Record::new(after, now));
            remembered.expires = now + record.lifetime(&self.limit.lifetimes, now);
            if let Some(entry) = entry
                && let Err(why) = self.enter(remembered.id, || Change::put(&record, entry, remembered.expires))
            {
                error!(session = %remembered.id, ?why, "a session that goes by another clock now could not be written");
            }
            remembered.kept = file::Kept::Session(record);
        }
        if sessions > 0 {
            let by_ms = now.as_ms().wrapping_sub(was.as_ms()).cast_signed();
            warn!(
                by_ms,
                sessions, "the clock was set since the last process ended: sessions go on from where they stood"
            );
        }
    }

    /// Writes down where the clock stands, for the next process, while that matters.
    pub(super) async fn keep_time(&self, timeline: &Arc<Timeline>) {
        loop {
            if self.has_deadlines() {
                let (timeline, clock) = (Arc::clone(timeline), self.clock.clone());
                match self.metrics.supervisor.block("timeline", move || timeline.write(&clock)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(%error, "where the clock stands cannot be written down"),
                    // It is tried again, and was told of.
                    Err(Panicked(_)) => {}
                }
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }

    fn has_deadlines(&self) -> bool {
        self.shards.iter().any(|shard| !shard.lock().deadlines.is_empty())
    }
}
