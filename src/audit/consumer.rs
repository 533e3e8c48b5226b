//! Takes jobs from the queues to the database: an agent for each queue, and threads that they share. Does not know what
//! agents and threads do.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::supervision::{Ending, Supervisor, Task};

use super::agent::Agent;
use super::metrics::Metrics;
use super::pool::Pool;
use super::queue::Queue;
use super::sink::Sinks;
use super::standing::Standing;

/// How long to wait when something was queued: what comes meanwhile is written together.
const GATHER_PAUSE: Duration = Duration::from_millis(10);
/// The same where there are many queues.
const GATHER_PAUSE_OF_MANY: Duration = Duration::from_millis(50);

/// The agents and their threads.
pub struct Consumer {
    agents: Vec<Agent>,
    pool: Arc<Pool>,
    standing: Standing,
    supervisor: Supervisor,
}

impl Consumer {
    /// A thread for each sink; at `alert_bytes` of jobs the audit counts as behind.
    pub fn new(
        clock: &Clock,
        queues: Vec<Queue>,
        sinks: Sinks,
        alert_bytes: u64,
        metrics: &Metrics,
    ) -> std::io::Result<Self> {
        let pool = Arc::new(Pool::start(sinks, metrics.supervisor.clone())?);
        let standing = Standing::new(queues.len(), alert_bytes, metrics.clone());
        let pause = if queues.len() > 1 { GATHER_PAUSE_OF_MANY } else { GATHER_PAUSE };
        let agent =
            |queue| Agent::new(clock.clone(), queue, Arc::clone(&pool), pause, metrics.clone(), standing.clone());
        let agents = queues.into_iter().enumerate().map(agent).collect();
        Ok(Self { agents, pool, standing, supervisor: metrics.supervisor.clone() })
    }

    /// What is known of the audit.
    pub fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// Runs until `stop`, then lets the threads finish and gives back what they could not write.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (stopped, stopping) = watch::channel(false);
        let mut agents = JoinSet::new();
        for agent in self.agents {
            let (agent, stopping) = (Arc::new(Mutex::new(agent)), stopping.clone());
            agents.spawn(self.supervisor.keep(Task::auxiliary("audit_agent"), move || {
                let (agent, mut stopping) = (Arc::clone(&agent), stopping.clone());
                async move {
                    let stop = async {
                        // Whether it is told or forgotten.
                        let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
                    };
                    agent.lock().await.run(stop).await;
                    Ending::Done
                }
            }));
        }
        stop.await;
        stopped.send_replace(true);
        self.pool.stop();
        agents.join_all().await;
    }
}
