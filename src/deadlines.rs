//! Fires deadlines: settles sessions whose clock ran out, without a command. Many are fired at the same time, so that the
//! store commits them as a group; never one session twice at once. Each partition of the store has a task of its own, so
//! that one that is unavailable delays no other. A session that cannot be settled although the store is available is retried
//! with exponential backoff. Does not know what a flag does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing::{debug, error, info, warn};

use crate::engine::SessionId;
use crate::hashing::{HashMap, HashSet};
use crate::runtime::{Stopped, TaskSet};
use crate::sessions::{Applied, Failure, Sessions};
use crate::store::{Deadlines, StoreError};
use crate::supervision::{Panicked, Supervisor, Task, panic_point};

/// Sessions of a partition that are fired at the same time at most.
const FIRING_MAX: usize = 256;
/// How long a session that is being fired is postponed.
const FIRING_TIME: Duration = Duration::from_secs(5);
/// How long a session is postponed while the store is unavailable.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long a session that cannot be settled is postponed first; then twice as long each time.
const STUCK_PAUSE: Duration = Duration::from_millis(100);
/// And at most.
const STUCK_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Failures in a row before the session counts as stuck: another instance may have been faster.
const STUCK_AT: u32 = 3;

/// The metric of sessions that cannot be settled. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct DeadlineMetrics {
    stuck: Gauge,
}

impl DeadlineMetrics {
    /// Shown by `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Sessions whose clock ran out and that cannot be settled";
        registry.register("synckairos_deadlines_stuck", help, metrics.stuck.clone());
        metrics
    }
}

/// Fires every deadline as it passes; runs until it is dropped. The task of a partition that panics is restarted.
pub async fn fire(sessions: Sessions, deadlines: Arc<dyn Deadlines>, metrics: DeadlineMetrics, supervisor: Supervisor) {
    let failing_partitions = Arc::new(AtomicUsize::new(0));
    let mut partitions = TaskSet::default();
    for partition in 0..deadlines.partitions() {
        let (sessions, deadlines, failing) =
            (sessions.clone(), Arc::clone(&deadlines), Arc::clone(&failing_partitions));
        let (metrics, own) = (metrics.clone(), supervisor.clone());
        let fire = move || {
            let firing = PartitionFiring {
                sessions: sessions.clone(),
                deadlines: Arc::clone(&deadlines),
                partition,
                tasks: TaskSet::default(),
                firing: HashSet::default(),
                due_again: HashSet::default(),
                stuck: HashMap::default(),
                failing: false,
                failing_partitions: Arc::clone(&failing),
                metrics: metrics.clone(),
                supervisor: own.clone(),
            };
            firing.run()
        };
        partitions.spawn(partition, supervisor.keep(Task::essential("deadlines"), fire));
    }
    while partitions.join_next().await.is_some() {}
}

/// What firing a session's deadline came to.
enum FireOutcome {
    /// Its clock is not overdue any more.
    Settled,
    /// The store is unavailable.
    Unavailable,
    /// The store is available, and yet the session stays overdue.
    Stuck(String),
}

/// Sessions of a partition that are being fired.
struct PartitionFiring {
    sessions: Sessions,
    deadlines: Arc<dyn Deadlines>,
    partition: usize,
    tasks: TaskSet<SessionId, Result<FireOutcome, Panicked>>,
    /// The sessions of these tasks.
    firing: HashSet<SessionId>,
    /// Those that are due once more, which is seen to when their task has ended.
    due_again: HashSet<SessionId>,
    /// The failures in a row of sessions that cannot be settled.
    stuck: HashMap<SessionId, u32>,
    /// The last session could not be fired.
    failing: bool,
    /// The number of partitions of which that is so.
    failing_partitions: Arc<AtomicUsize>,
    metrics: DeadlineMetrics,
    supervisor: Supervisor,
}

impl Drop for PartitionFiring {
    /// A restarted task finds out anew which sessions are stuck.
    fn drop(&mut self) {
        if self.failing {
            self.failing_partitions.fetch_sub(1, Ordering::Relaxed);
        }
        let stuck = self.stuck.values().filter(|times| **times >= STUCK_AT).count();
        self.metrics.stuck.dec_by(stuck as i64);
    }
}

impl PartitionFiring {
    async fn run(mut self) {
        let deadlines = Arc::clone(&self.deadlines);
        loop {
            panic_point("deadlines", "");
            let overdue = tokio::select! {
                biased;
                overdue = deadlines.overdue(self.partition) => overdue,
                () = self.finish_one(), if !self.tasks.is_empty() => Vec::new(),
            };
            for id in overdue {
                if self.tasks.len() >= FIRING_MAX {
                    self.finish_one().await;
                }
                self.start(id);
            }
            self.finish_ready();
        }
    }

    fn start(&mut self, id: SessionId) {
        self.deadlines.postpone(self.partition, id, FIRING_TIME);
        if !self.firing.insert(id) {
            // Perhaps it was settled a moment too early, or has another deadline by now.
            self.due_again.insert(id);
            return;
        }
        let sessions = self.sessions.clone();
        let fire = async move {
            panic_point("deadline", id);
            fired(sessions.fire(id).await)
        };
        self.tasks.spawn(id, self.supervisor.guarded("deadline", fire));
    }

    async fn finish_one(&mut self) {
        if let Some((id, ended)) = self.tasks.join_next().await {
            self.record(id, ended);
        }
    }

    fn finish_ready(&mut self) {
        while let Some((id, ended)) = self.tasks.try_join_next() {
            self.record(id, ended);
        }
    }

    fn record(&mut self, id: SessionId, ended: Result<Result<FireOutcome, Panicked>, Stopped>) {
        self.firing.remove(&id);
        let is_due_again = self.due_again.remove(&id);
        let fired = match ended {
            Ok(Ok(fired)) => fired,
            Ok(Err(panicked)) => FireOutcome::Stuck(format!("a fault of ours: {panicked}")),
            Err(Stopped) => FireOutcome::Stuck("a fault of ours".to_owned()),
        };
        match fired {
            FireOutcome::Settled => {
                if self.stuck.remove(&id).is_some_and(|times| times >= STUCK_AT) {
                    self.metrics.stuck.dec();
                    info!(session = %id, "a session whose clock ran out is settled after all");
                }
                self.store_answers(true, id);
                if is_due_again {
                    self.start(id);
                }
            }
            FireOutcome::Unavailable => {
                self.deadlines.postpone(self.partition, id, RETRY_PAUSE);
                self.store_answers(false, id);
            }
            FireOutcome::Stuck(why) => {
                let times = self.stuck.entry(id).or_insert(0);
                *times += 1;
                let pause = STUCK_PAUSE.saturating_mul(1 << (*times - 1).min(16)).min(STUCK_PAUSE_MAX);
                if *times == STUCK_AT {
                    self.metrics.stuck.inc();
                    error!(session = %id, why, "a session whose clock ran out cannot be settled");
                }
                self.deadlines.postpone(self.partition, id, pause);
            }
        }
    }

    /// Logs once when deadlines of any partition start to fail, and once when those of all are fired again.
    fn store_answers(&mut self, fired: bool, id: SessionId) {
        if self.failing != fired {
            return;
        }
        self.failing = !fired;
        if fired {
            if self.failing_partitions.fetch_sub(1, Ordering::Relaxed) == 1 {
                info!("deadlines are fired again");
            }
        } else if self.failing_partitions.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!(session = %id, "deadlines cannot be fired yet");
        }
    }
}

fn fired(settled: Result<Applied, Failure>) -> FireOutcome {
    match settled {
        Ok(Applied { record: Some(record), now, .. }) if record.deadline().is_some_and(|deadline| deadline <= now) => {
            FireOutcome::Stuck("its deadline stays where it was".to_owned())
        }
        // A removed session is not overdue.
        Ok(_) | Err(Failure::Refused(..)) => FireOutcome::Settled,
        Err(Failure::Store(error @ (StoreError::Unreadable | StoreError::Broken | StoreError::Fault))) => {
            FireOutcome::Stuck(format!("{error:?}"))
        }
        Err(error @ (Failure::Limited(_) | Failure::Store(_) | Failure::NoHistory)) => {
            debug!(?error, "a deadline could not be fired yet");
            FireOutcome::Unavailable
        }
    }
}
