//! The agent that takes jobs from the queue to the threads that write them, and tells the queue what became of
//! them. Holds the leases, and sees to what others left behind. Does not know what a job says.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::{debug, error, info, warn};

use crate::clock::{Clock, Moment};
use crate::engine::Timestamp;
use crate::redis::LinkError;

use super::metrics::Metrics;
use super::operator::Stats;
use super::pool::{Pool, Report};
use super::queue::{Batch, Fate, Queue};
use super::sink::Sink;

/// How long to wait when nothing was queued: what comes meanwhile is written together.
const IDLE_PAUSE: Duration = Duration::from_millis(20);
/// How long to leave Redis alone that does not answer.
const AWAY_PAUSE: Duration = Duration::from_millis(500);
/// How often leases are renewed, and what others left behind is looked for.
const ROUNDS: Duration = Duration::from_secs(1);
/// How long threads may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What is known of the audit, for whoever asks.
#[derive(Clone, Default)]
pub struct Standing(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    away: Option<String>,
    stats: Stats,
    alert_bytes: u64,
}

impl Standing {
    /// Why the audit is behind, although requests are served.
    pub fn degraded(&self) -> Option<String> {
        let known = self.0.lock();
        if let Some(why) = &known.away {
            return Some(format!("the audit's database is away: {why}"));
        }
        let Stats { bytes, dead, .. } = known.stats;
        if known.alert_bytes > 0 && bytes >= known.alert_bytes {
            return Some(format!("{bytes} bytes wait to be audited"));
        }
        (dead > 0).then(|| format!("{dead} audit jobs were given up: see synckairos queue dead"))
    }
}

/// The agent.
pub struct Consumer {
    clock: Clock,
    queue: Queue,
    pool: Pool,
    reports: mpsc::UnboundedReceiver<Report>,
    threads: usize,
    /// Batches that threads have, and since when.
    held: Vec<(Batch, Moment)>,
    /// What became of batches of which the queue was not told yet.
    unsettled: Vec<Report>,
    metrics: Metrics,
    standing: Standing,
    is_away: bool,
}

impl Consumer {
    /// An agent with a thread for each sink; at `alert_bytes` of jobs the audit counts as behind.
    pub fn new(
        clock: Clock,
        queue: Queue,
        sinks: Vec<Box<dyn Sink>>,
        alert_bytes: u64,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let threads = sinks.len();
        let (report, reports) = mpsc::unbounded_channel();
        let pool = Pool::start(sinks, report)?;
        let standing = Standing::default();
        standing.0.lock().alert_bytes = alert_bytes;
        let (held, unsettled) = (Vec::new(), Vec::new());
        Ok(Self { clock, queue, pool, reports, threads, held, unsettled, metrics, standing, is_away: false })
    }

    /// What is known of the audit.
    pub fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// Runs until `stop`, then lets the threads finish and gives back what they could not write.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let mut rounds = tokio::time::interval(ROUNDS);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pause = Duration::ZERO;
        loop {
            let can_take = self.held.len() < self.threads && self.unsettled.is_empty();
            let done = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(report) = self.reports.recv() => {
                    // Where some jobs were, there may be more.
                    pause = Duration::ZERO;
                    self.settle(report, true).await
                }
                _ = rounds.tick() => self.go_round().await,
                () = tokio::time::sleep(pause), if can_take => self.take().await.map(|found| {
                    pause = if found { Duration::ZERO } else { IDLE_PAUSE };
                }),
            };
            self.tell(&done);
            if done.is_err() {
                pause = AWAY_PAUSE;
            }
        }
        self.finish().await;
    }

    /// Gives jobs to an idle thread; `false` when there were none.
    async fn take(&mut self) -> Result<bool, LinkError> {
        let Some(batch) = self.queue.fetch().await? else { return Ok(false) };
        self.give(batch);
        Ok(true)
    }

    fn give(&mut self, batch: Batch) {
        self.metrics.fetched(batch.jobs.len());
        self.held.push((batch.clone(), self.clock.moment()));
        if let Err(batch) = self.pool.give(batch) {
            // There are as many threads as batches that may be held.
            debug_assert!(false, "no thread is idle");
            self.unsettled.push(Report { batch, fates: None });
        }
    }

    /// Tells the queue what became of a batch; it is told again later when it does not answer.
    async fn settle(&mut self, report: Report, wants_more: bool) -> Result<(), LinkError> {
        let Report { batch, fates } = &report;
        let told = match fates {
            Some(fates) => self.queue.settle(batch, fates, wants_more).await,
            None => self.queue.release(batch).await.map(|()| (None, None)),
        };
        let (now, next) = match told {
            Ok(told) => told,
            Err(error) => {
                self.unsettled.push(report);
                return Err(error);
            }
        };
        if let Some(place) = self.held.iter().position(|(held, _)| held.is(batch)) {
            let (_, since) = self.held.swap_remove(place);
            self.metrics.settled(self.clock.moment().since(since));
        }
        if let Some(next) = next {
            self.give(next);
        }
        match (fates, now) {
            (Some(fates), Some(now)) => self.count(batch, fates, now),
            (Some(_), None) => warn!("the lease of a batch was lost: somebody else writes it too, which does no harm"),
            (None, _) => {}
        }
        Ok(())
    }

    fn count(&self, batch: &Batch, fates: &[Fate], now: Timestamp) {
        for (job, fate) in batch.jobs.iter().zip(fates) {
            let (event, at) = (job.name.map(|name| name.event), job.name.map_or(now, |name| name.at));
            let event = event.map(|event| event.to_string());
            match fate {
                Fate::Written => self.metrics.written(Duration::from_millis(now.since(at).as_ms())),
                Fate::Delayed(pause, why) => {
                    self.metrics.retried();
                    warn!(event, why, pause_s = pause.as_secs(), "an audit job could not be written");
                }
                Fate::Dead(why) => {
                    self.metrics.dead(1);
                    error!(event, why, "an audit job is given up: see synckairos queue dead");
                }
            }
        }
    }

    /// What has to be done now and then.
    async fn go_round(&mut self) -> Result<(), LinkError> {
        while let Some(report) = self.unsettled.pop() {
            self.settle(report, false).await?;
        }
        // Before what is over is taken back: after an outage that may be our own.
        if !self.held.is_empty() {
            let held: Vec<_> = self.held.iter().map(|(batch, _)| batch).collect();
            self.queue.renew(&held).await?;
        }
        let (waiting, dead) = self.queue.reap().await?;
        if waiting + dead > 0 {
            self.metrics.reaped(waiting);
            self.metrics.dead(dead);
            warn!(waiting, dead, "audit jobs were taken back from somebody who has died");
        }
        self.queue.promote().await?;
        let (stats, now) = (self.queue.stats().await?, self.queue.now().await?);
        let oldest_age = stats.oldest.map_or(0, |oldest| now.since(oldest).as_ms());
        self.metrics.standing(&stats, Duration::from_millis(oldest_age));
        let mut known = self.standing.0.lock();
        let was_full = known.alert_bytes > 0 && known.stats.bytes >= known.alert_bytes;
        let is_full = known.alert_bytes > 0 && stats.bytes >= known.alert_bytes;
        if is_full && !was_full {
            error!(bytes = stats.bytes, waiting = stats.waiting, "the audit queue is filling up");
        }
        known.stats = stats;
        known.away = self.pool.away();
        self.metrics.away(known.away.is_some());
        Ok(())
    }

    /// Tells once when Redis goes away, and once when it is back.
    fn tell(&mut self, done: &Result<(), LinkError>) {
        match done {
            Ok(()) if std::mem::take(&mut self.is_away) => info!("the audit queue can be reached again"),
            Err(error) if !std::mem::replace(&mut self.is_away, true) => {
                warn!(%error, "the audit queue cannot be reached");
            }
            Ok(()) => {}
            Err(error) => debug!(%error, "the audit queue cannot be reached"),
        }
    }

    async fn finish(mut self) {
        self.pool.stop();
        let finished = async {
            for report in std::mem::take(&mut self.unsettled) {
                self.tell_last(report).await;
            }
            while !self.held.is_empty() {
                let Some(report) = self.reports.recv().await else { return };
                self.tell_last(report).await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, finished).await.is_err() {
            warn!("some audit jobs were not finished in time: their leases give them to other instances");
        }
    }

    async fn tell_last(&mut self, report: Report) {
        let name = report.batch.clone();
        let done = self.settle(report, false).await;
        self.tell(&done);
        self.held.retain(|(held, _)| !held.is(&name));
    }
}
