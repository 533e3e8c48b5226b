//! Consumes the queues: a processor for each queue, and one pool of writer threads for all of them. Does not know what
//! processors and threads do.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::runtime::TaskSet;
use crate::supervision::{Supervisor, Task, TaskExit};

use super::health::AuditHealth;
use super::metrics::AuditMetrics;
use super::pool::Pool;
use super::processor::Processor;
use super::queue::AuditQueue;
use super::sink::Sinks;

/// How long to wait after the first job was queued: jobs that come meanwhile are one batch.
const GATHER_PAUSE: Duration = Duration::from_millis(10);
/// The same with several queues.
const GATHER_PAUSE_OF_MANY: Duration = Duration::from_millis(50);

/// All processors and their threads.
pub struct Consumer {
    processors: Vec<Processor>,
    pool: Arc<Pool>,
    health: AuditHealth,
    supervisor: Supervisor,
}

impl Consumer {
    /// A thread for each sink; at `alert_bytes` of jobs the audit counts as behind.
    pub fn new(
        clock: &Clock,
        queues: Vec<AuditQueue>,
        sinks: Sinks,
        alert_bytes: u64,
        metrics: &AuditMetrics,
    ) -> std::io::Result<Self> {
        let pool = Arc::new(Pool::start(sinks, metrics.supervisor.clone())?);
        let health = AuditHealth::new(queues.len(), alert_bytes, metrics.clone());
        let pause = if queues.len() > 1 { GATHER_PAUSE_OF_MANY } else { GATHER_PAUSE };
        let processor =
            |queue| Processor::new(clock.clone(), queue, Arc::clone(&pool), pause, metrics.clone(), health.clone());
        let processors = queues.into_iter().enumerate().map(processor).collect();
        Ok(Self { processors, pool, health, supervisor: metrics.supervisor.clone() })
    }

    /// The audit's health.
    pub fn health(&self) -> AuditHealth {
        self.health.clone()
    }

    /// Runs until `stop`, then drains: the threads finish, and batches that they could not write are released.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (stopped, stopping) = watch::channel(false);
        let mut processors = TaskSet::default();
        for (index, processor) in self.processors.into_iter().enumerate() {
            let (processor, stopping) = (Arc::new(Mutex::new(processor)), stopping.clone());
            processors.spawn(
                index,
                self.supervisor.keep(Task::auxiliary("audit_agent"), move || {
                    let (processor, mut stopping) = (Arc::clone(&processor), stopping.clone());
                    async move {
                        let stop = async {
                            // A dropped sender means stop, too.
                            let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
                        };
                        processor.lock().await.run(stop).await;
                        TaskExit::Done
                    }
                }),
            );
        }
        stop.await;
        stopped.send_replace(true);
        self.pool.stop();
        while processors.join_next().await.is_some() {}
    }
}
