//! When commands arrived. Keeps those that are not judged yet, so that no deadline passes before a
//! command that was in time. Does not know what they ask for.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::clock::{Clock, Moment};
use crate::engine::{SessionId, Timestamp};

/// More of them than processors that could be between arrival and judgement.
const SHARDS: usize = 64;

/// The commands on their way.
#[derive(Debug)]
pub struct Arrivals {
    clock: Clock,
    shards: Box<[Shard]>,
}

/// Some of them.
#[derive(Debug, Default)]
struct Shard {
    waiting: Mutex<Vec<(SessionId, Timestamp, Moment)>>,
    /// One of them is judged, or given up.
    left: Notify,
}

impl Arrivals {
    /// Nobody has arrived.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, shards: (0..SHARDS).map(|_| Shard::default()).collect() })
    }

    /// A command for `id` arrives.
    pub fn enter(self: &Arc<Self>, id: SessionId) -> Arrival {
        let mut waiting = self.shard(id).waiting.lock();
        // Read under the lock: whoever looks for arrivals after a deadline then finds all before it.
        let (at, moment) = (self.clock.now(), self.clock.moment());
        waiting.push((id, at, moment));
        Arrival { id, at, moment, among: Arc::clone(self) }
    }

    /// Whether a command for `id` is still on its way that was in time, while `own` was not: a command that
    /// arrived in time need not wait for others that did.
    pub fn any_in_time(
        &self,
        id: SessionId,
        own: Option<&Arrival>,
        in_time: impl Fn(Timestamp, Moment) -> bool,
    ) -> bool {
        own.is_none_or(|own| !in_time(own.at, own.moment))
            && self.shard(id).waiting.lock().iter().any(|&(other, at, moment)| other == id && in_time(at, moment))
    }

    /// Waits until a command for `id`, perhaps, is not on its way any more. To be made before it is looked whether there is
    /// one: it hears of every one that ends after that.
    pub fn left(&self, id: SessionId) -> Notified<'_> {
        self.shard(id).left.notified()
    }

    fn shard(&self, id: SessionId) -> &Shard {
        &self.shards[id.0.bucket(SHARDS)]
    }
}

/// A command that arrived; dropped when it is judged.
#[derive(Debug)]
pub struct Arrival {
    id: SessionId,
    at: Timestamp,
    moment: Moment,
    among: Arc<Arrivals>,
}

impl Arrival {
    /// When, by this process's clock of the day.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// When, by this process's monotonic clock.
    pub fn moment(&self) -> Moment {
        self.moment
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let shard = self.among.shard(self.id);
        let mut waiting = shard.waiting.lock();
        if let Some(place) = waiting.iter().position(|&entry| entry == (self.id, self.at, self.moment)) {
            waiting.swap_remove(place);
        }
        drop(waiting);
        shard.left.notify_waiters();
    }
}
