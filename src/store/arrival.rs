//! When commands arrived. Keeps those that are not judged yet, so that no deadline passes before a command that arrived in
//! time. Does not know what they ask for.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::clock::{Clock, Moment};
use crate::engine::{SessionId, Timestamp};

/// More of them than processors that could be between arrival and judgement.
const SHARDS: usize = 64;

/// The commands in flight.
#[derive(Debug)]
pub struct Arrivals {
    clock: Clock,
    shards: Box<[ArrivalShard]>,
}

/// Some of them.
#[derive(Debug, Default)]
struct ArrivalShard {
    waiting: Mutex<Vec<(SessionId, Timestamp, Moment)>>,
    /// One of them is judged, or given up.
    left: Notify,
}

impl Arrivals {
    /// No command is in flight.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, shards: (0..SHARDS).map(|_| ArrivalShard::default()).collect() })
    }

    /// A command for `id` arrives.
    pub fn enter(self: &Arc<Self>, id: SessionId) -> Arrival {
        let mut waiting = self.shard(id).waiting.lock();
        // Read under the lock, so that a look after a deadline finds every arrival before it.
        let (at, moment) = (self.clock.now(), self.clock.moment());
        waiting.push((id, at, moment));
        Arrival { id, at, moment, among: Arc::clone(self) }
    }

    /// Whether a decision on a session must wait for commands in flight: its deadline has passed, and a command is not
    /// judged yet that arrived before it, while `own` did not. `server_us` is an arrival by the server clock.
    pub fn must_wait(
        &self,
        id: SessionId,
        own: Option<&Arrival>,
        passed_deadline: Option<Timestamp>,
        server_us: impl Fn(Timestamp, Moment) -> u64,
    ) -> bool {
        let Some(deadline) = passed_deadline else { return false };
        let in_time = |at, moment| server_us(at, moment) < deadline.as_ms() * 1_000;
        own.is_none_or(|own| !in_time(own.at, own.moment))
            && self.shard(id).waiting.lock().iter().any(|&(other, at, moment)| other == id && in_time(at, moment))
    }

    /// Completes when a command, perhaps one for `id`, is judged or given up. To be made before [`Arrivals::must_wait`], so
    /// that no end is missed.
    pub fn left(&self, id: SessionId) -> Notified<'_> {
        self.shard(id).left.notified()
    }

    fn shard(&self, id: SessionId) -> &ArrivalShard {
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
    /// When, by this process's wall clock.
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
        if let Some(position) = waiting.iter().position(|&entry| entry == (self.id, self.at, self.moment)) {
            waiting.swap_remove(position);
        }
        drop(waiting);
        shard.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Arrivals};
    use crate::clock::Clock;
    use crate::engine::{SessionId, Timestamp, Uuid};

    fn must_wait(
        arrivals: &Arrivals,
        id: SessionId,
        own: Option<&Arrival>,
        passed: Option<Timestamp>,
        arrived_us: u64,
    ) -> bool {
        arrivals.must_wait(id, own, passed, |_, _| arrived_us)
    }

    #[test]
    fn a_deadline_waits_for_commands_of_its_session_that_arrived_before_it() {
        let arrivals = Arrivals::new(Clock::system());
        let [one, other] = [1, 2].map(|n| SessionId(Uuid::from_bits(n)));
        let deadline = Timestamp::from_ms(10);
        assert!(!must_wait(&arrivals, one, None, Some(deadline), 9_999), "no command is in flight");
        let arrival = arrivals.enter(one);
        assert!(must_wait(&arrivals, one, None, Some(deadline), 9_999));
        assert!(!must_wait(&arrivals, one, None, Some(deadline), 10_000), "it arrived too late");
        assert!(!must_wait(&arrivals, one, None, None, 9_999), "no deadline has passed");
        assert!(!must_wait(&arrivals, other, None, Some(deadline), 9_999), "it is another session's");
        assert!(!must_wait(&arrivals, one, Some(&arrival), Some(deadline), 9_999), "it was in time itself");
        drop(arrival);
        assert!(!must_wait(&arrivals, one, None, Some(deadline), 9_999), "it is judged");
    }
}
