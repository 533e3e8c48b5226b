//! The processor of one queue: fetches batches for the pool's threads, renews their leases, acknowledges what the threads
//! report, and reaps the batches of instances that died. Does not know what a job says, nor other queues.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::clock::{Clock, Moment};
use crate::engine::Timestamp;
use crate::redis::RedisError;
use crate::runtime::time::{self, Ticks};
use crate::supervision::panic_point;

use super::assignment::BatchReport;
use super::health::AuditHealth;
use super::inspect::QueueInspection;
use super::leased_batch::LeasedBatch;
use super::metrics::AuditMetrics;
use super::pool::{IdleThread, Pool};
use super::queue::AuditQueue;
use super::queued_job::{JobOutcome, QueuedJob};

/// How long to leave an unreachable Redis alone.
const REDIS_PAUSE: Duration = Duration::from_millis(500);
/// How often leases are renewed, and the queue is inspected for jobs that others have queued or left behind.
const TICK: Duration = Duration::from_secs(1);
/// A thread that has had its batch for less will soon be idle.
const WRITE_TIME: Duration = Duration::from_secs(1);
/// How soon to fetch again when too few jobs waited for another thread; less than [`TICK`], with which each pause restarts.
const SMALL_BATCH_PAUSE: Duration = Duration::from_millis(100);
/// So many times more jobs must wait for each further thread to be worth it.
const FURTHER_THREAD_FACTOR: usize = 8;
/// How long threads may take to finish at shutdown.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The processor of a queue.
pub(super) struct Processor {
    clock: Clock,
    queue: AuditQueue,
    /// The queue's number.
    index: usize,
    pool: Arc<Pool>,
    gather_pause: Duration,
    reports: mpsc::UnboundedSender<BatchReport>,
    reported: mpsc::UnboundedReceiver<BatchReport>,
    in_flight: Vec<BatchInFlight>,
    /// Reports that the queue has not acknowledged yet.
    unacknowledged: Vec<BatchReport>,
    metrics: AuditMetrics,
    health: AuditHealth,
}

/// A batch that a thread writes.
struct BatchInFlight {
    batch: LeasedBatch,
    since: Moment,
    thread: IdleThread,
}

impl Processor {
    /// A processor that fetches `gather_pause` after the first job was queued.
    pub(super) fn new(
        clock: Clock,
        (index, queue): (usize, AuditQueue),
        pool: Arc<Pool>,
        gather_pause: Duration,
        metrics: AuditMetrics,
        health: AuditHealth,
    ) -> Self {
        let (reports, reported) = mpsc::unbounded_channel();
        let (in_flight, unacknowledged) = (Vec::new(), Vec::new());
        Self { clock, queue, index, pool, gather_pause, reports, reported, in_flight, unacknowledged, metrics, health }
    }

    /// Runs until `stop`, when the pool stops too; then acknowledges what was written and releases the rest.
    pub(super) async fn run(&mut self, stop: impl Future<Output = ()> + Send) {
        self.forget_in_flight();
        let mut stop = std::pin::pin!(stop);
        let mut ticks = Ticks::new(TICK);
        let wake_up = self.queue.wake_up();
        // Until the next fetch; `None` while the queue is empty as far as is known.
        let mut pause = None;
        loop {
            let pool = Arc::clone(&self.pool);
            let idle = async {
                match pause {
                    Some(pause) => time::sleep(pause).await,
                    None => std::future::pending().await,
                }
                pool.idle_thread().await
            };
            let result = tokio::select! {
                biased;
                () = &mut stop => break,
                // Before the branches that may always be ready.
                () = ticks.tick() => self.tick().await.map(|has_jobs| {
                    pause = pause.or(has_jobs.then_some(Duration::ZERO));
                }),
                Some(report) = self.reported.recv() => {
                    // Where some jobs were, there may be more.
                    pause = Some(Duration::ZERO);
                    self.acknowledge(report, true).await
                }
                () = wake_up.notified(), if pause.is_none() => {
                    // Jobs that come meanwhile are one batch.
                    pause = Some(self.gather_pause);
                    Ok(())
                }
                thread = idle, if self.unacknowledged.is_empty() => self.fetch_for(thread).await.map(|next| pause = next),
            };
            self.health.record_reached(self.index, &result);
            if result.is_err() {
                pause = Some(REDIS_PAUSE);
            }
        }
        self.drain().await;
    }

    /// A run before this one panicked, and may not have acknowledged a batch. Threads still report those that they write;
    /// the leases of all others expire.
    fn forget_in_flight(&mut self) {
        for BatchInFlight { since, .. } in std::mem::take(&mut self.in_flight) {
            self.metrics.acknowledged(self.clock.moment().since(since));
        }
    }

    /// Fetches a batch for an idle thread; returns when to fetch again, `None` when the queue was empty.
    async fn fetch_for(&mut self, thread: IdleThread) -> Result<Option<Duration>, RedisError> {
        let least = self.batch_jobs_min(None);
        match self.queue.fetch(least).await? {
            Some(batch) => {
                self.assign(batch, thread);
                Ok(Some(Duration::ZERO))
            }
            None => Ok((least > 1).then_some(SMALL_BATCH_PAUSE)),
        }
    }

    fn assign(&mut self, batch: LeasedBatch, mut thread: IdleThread) {
        self.metrics.fetched(batch.jobs.len());
        thread.assign(batch.clone(), self.reports.clone());
        self.in_flight.push(BatchInFlight { batch, since: self.clock.moment(), thread });
    }

    /// Acknowledges a batch, or releases one that was not written; keeps the report for the next tick when Redis does not
    /// answer.
    async fn acknowledge(&mut self, report: BatchReport, wants_more: bool) -> Result<(), RedisError> {
        let BatchReport { batch, outcomes } = &report;
        let acknowledged = match outcomes {
            Some(outcomes) => {
                // A processor that waits for a thread gets this one.
                let wants_next = wants_more && !self.pool.has_waiting_processors();
                let wanted = wants_next.then(|| self.batch_jobs_min(Some(batch)));
                self.queue.acknowledge(batch, outcomes, wanted).await
            }
            None => self.queue.release(batch).await.map(|()| (None, None)),
        };
        let (now, next) = match acknowledged {
            Ok(acknowledged) => acknowledged,
            Err(error) => {
                self.unacknowledged.push(report);
                return Err(error);
            }
        };
        let index = self.in_flight.iter().position(|in_flight| in_flight.batch.is_same(batch));
        let Some(BatchInFlight { since, thread, .. }) = index.map(|index| self.in_flight.swap_remove(index)) else {
            return Ok(());
        };
        self.metrics.acknowledged(self.clock.moment().since(since));
        if let Some(next) = next {
            self.assign(next, thread);
        }
        match (outcomes, now) {
            (Some(outcomes), Some(now)) => self.record_outcomes(&batch.jobs, outcomes, now),
            (Some(_), None) => warn!("the lease of a batch was lost: somebody else writes it too, which does no harm"),
            (None, _) => {}
        }
        Ok(())
    }

    /// How many new jobs are worth a thread: as many as fill a batch while another thread than that of `done` writes several
    /// jobs and will soon accept more, and far more for each further one. Concurrent writers wait for each other's
    /// rows, and fewer batches cost less.
    fn batch_jobs_min(&self, done: Option<&LeasedBatch>) -> usize {
        let now = self.clock.moment();
        let others = self.in_flight.iter().filter(|other| !done.is_some_and(|done| other.batch.is_same(done)));
        let busy = others.filter(|other| other.batch.jobs.len() > 1 && now.since(other.since) < WRITE_TIME);
        busy.fold(1, |least, other| match least {
            1 => self.queue.full_batch_jobs(&other.batch),
            least => least.saturating_mul(FURTHER_THREAD_FACTOR),
        })
    }

    fn record_outcomes(&self, jobs: &[QueuedJob], outcomes: &[JobOutcome], now: Timestamp) {
        for (job, outcome) in jobs.iter().zip(outcomes) {
            let (event, at) = (job.header.map(|header| header.event), job.header.map_or(now, |header| header.at));
            let event = event.map(|event| event.to_string());
            match outcome {
                JobOutcome::Written => self.metrics.written(Duration::from_millis(now.since(at).as_ms())),
                JobOutcome::Delayed(pause, why) => {
                    self.metrics.retried();
                    warn!(event, why, pause_s = pause.as_secs(), "an audit job could not be written");
                }
                JobOutcome::Dead(why) => {
                    self.metrics.dead(1);
                    error!(event, why, "an audit job is given up: see synckairos queue dead");
                }
            }
        }
    }

    /// Acknowledges what Redis missed, renews leases, reaps and inspects; returns whether there may be jobs to fetch.
    async fn tick(&mut self) -> Result<bool, RedisError> {
        panic_point("audit_agent", "");
        while let Some(report) = self.unacknowledged.pop() {
            self.acknowledge(report, false).await?;
        }
        // Before expired leases are reaped: after an outage those may be our own.
        if !self.in_flight.is_empty() {
            let batches: Vec<_> = self.in_flight.iter().map(|in_flight| &in_flight.batch).collect();
            self.queue.renew(&batches).await?;
        }
        self.queue.release_unacknowledged_fetches().await?;
        let QueueInspection { stats, now, expired } = self.queue.inspect().await?;
        let (reaped, dead) = self.queue.reap(&expired).await?;
        if reaped + dead > 0 {
            self.metrics.reaped(reaped);
            self.metrics.dead(dead);
            warn!(waiting = reaped, dead, "audit jobs were taken back from somebody who has died");
        }
        let oldest_age = Duration::from_millis(stats.oldest.map_or(0, |oldest| now.since(oldest).as_ms()));
        self.health.record_stats(self.index, stats, oldest_age, self.pool.unavailable());
        Ok(stats.waiting + stats.delayed + reaped > 0)
    }

    /// Waits for the threads and acknowledges what they report, for a bounded time.
    async fn drain(&mut self) {
        let drained = async {
            for report in std::mem::take(&mut self.unacknowledged) {
                self.acknowledge_once(report).await;
            }
            while !self.in_flight.is_empty() {
                let Some(report) = self.reported.recv().await else { return };
                self.acknowledge_once(report).await;
            }
        };
        if time::timeout(STOP_TIMEOUT, drained).await.is_err() {
            warn!("some audit jobs were not finished in time: their leases give them to other instances");
        }
    }

    async fn acknowledge_once(&mut self, report: BatchReport) {
        let batch = report.batch.clone();
        let result = self.acknowledge(report, false).await;
        self.health.record_reached(self.index, &result);
        self.in_flight.retain(|in_flight| !in_flight.batch.is_same(&batch));
    }
}
