//! The agent that takes jobs from a queue to the threads that write them, and tells the queue what became of
//! them. Holds the leases, and sees to what others left behind. Does not know what a job says, nor other queues.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::{error, warn};

use crate::clock::{Clock, Moment};
use crate::engine::Timestamp;
use crate::redis::LinkError;
use crate::supervision::panic_point;

use super::metrics::Metrics;
use super::pool::{Idle, Pool, Report};
use super::queue::{Batch, Queue};
use super::settlement::Fate;
use super::standing::Standing;
use super::survey::Survey;

/// How long to leave Redis alone that does not answer.
const AWAY_PAUSE: Duration = Duration::from_millis(500);
/// How often leases are renewed, and what others have queued or left behind is looked for.
const ROUNDS: Duration = Duration::from_secs(1);
/// Who has had a batch for less is about to be done with it.
const WRITTEN_SOON: Duration = Duration::from_secs(1);
/// How soon to look again where too few waited for another thread; less than [`ROUNDS`], with which each pause begins anew.
const CROWDED_PAUSE: Duration = Duration::from_millis(100);
/// So many times more must wait for each further thread to be worth it.
const FURTHER_FACTOR: usize = 8;
/// How long threads may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The agent of a queue.
pub(super) struct Agent {
    clock: Clock,
    queue: Queue,
    /// Which one it is.
    place: usize,
    pool: Arc<Pool>,
    gather_pause: Duration,
    report: mpsc::UnboundedSender<Report>,
    reports: mpsc::UnboundedReceiver<Report>,
    held: Vec<Held>,
    /// What became of batches of which the queue was not told yet.
    unsettled: Vec<Report>,
    metrics: Metrics,
    standing: Standing,
}

/// A batch that a thread has.
struct Held {
    batch: Batch,
    since: Moment,
    thread: Idle,
}

impl Agent {
    /// An agent that takes jobs `gather_pause` after the first was queued.
    pub(super) fn new(
        clock: Clock,
        (place, queue): (usize, Queue),
        pool: Arc<Pool>,
        gather_pause: Duration,
        metrics: Metrics,
        standing: Standing,
    ) -> Self {
        let (report, reports) = mpsc::unbounded_channel();
        let (held, unsettled) = (Vec::new(), Vec::new());
        Self { clock, queue, place, pool, gather_pause, report, reports, held, unsettled, metrics, standing }
    }

    /// Runs until `stop`, when the pool is stopped too; gives back what the threads could not write.
    pub(super) async fn run(&mut self, stop: impl Future<Output = ()> + Send) {
        self.forget();
        let mut stop = std::pin::pin!(stop);
        let mut rounds = tokio::time::interval(ROUNDS);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let bell = self.queue.bell();
        // Until jobs are looked for; `None` when there are none as far as is known.
        let mut pause = None;
        loop {
            let pool = Arc::clone(&self.pool);
            let idle = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
                pool.idle().await
            };
            let done = tokio::select! {
                biased;
                () = &mut stop => break,
                // Before what may always be ready.
                _ = rounds.tick() => self.go_round().await.map(|found| {
                    pause = pause.or(found.then_some(Duration::ZERO));
                }),
                Some(report) = self.reports.recv() => {
                    // Where some jobs were, there may be more.
                    pause = Some(Duration::ZERO);
                    self.settle(report, true).await
                }
                () = bell.rung(), if pause.is_none() => {
                    // What comes meanwhile is written together.
                    pause = Some(self.gather_pause);
                    Ok(())
                }
                thread = idle, if self.unsettled.is_empty() => self.take(thread).await.map(|next| pause = next),
            };
            self.standing.reached(self.place, &done);
            if done.is_err() {
                pause = Some(AWAY_PAUSE);
            }
        }
        self.finish().await;
    }

    /// Whoever ran before met a fault of ours, and may not have told what became of a batch. What threads still have they
    /// tell of; the leases of all else give it to somebody.
    fn forget(&mut self) {
        for Held { since, .. } in std::mem::take(&mut self.held) {
            self.metrics.settled(self.clock.moment().since(since));
        }
    }

    /// Gives jobs to an idle thread; returns when to look for more, `None` when there were none.
    async fn take(&mut self, thread: Idle) -> Result<Option<Duration>, LinkError> {
        let least = self.least(None);
        match self.queue.fetch(least).await? {
            Some(batch) => {
                self.give(batch, thread);
                Ok(Some(Duration::ZERO))
            }
            None => Ok((least > 1).then_some(CROWDED_PAUSE)),
        }
    }

    fn give(&mut self, batch: Batch, mut thread: Idle) {
        self.metrics.fetched(batch.jobs.len());
        thread.give(batch.clone(), self.report.clone());
        self.held.push(Held { batch, since: self.clock.moment(), thread });
    }

    /// Tells the queue what became of a batch; it is told again later when it does not answer.
    async fn settle(&mut self, report: Report, wants_more: bool) -> Result<(), LinkError> {
        let Report { batch, fates } = &report;
        let told = match fates {
            // Others who wait for a thread get this one.
            Some(fates) => {
                let wanted = (wants_more && !self.pool.is_wanted()).then(|| self.least(Some(batch)));
                self.queue.settle(batch, fates, wanted).await
            }
            None => self.queue.release(batch).await.map(|()| (None, None)),
        };
        let (now, next) = match told {
            Ok(told) => told,
            Err(error) => {
                self.unsettled.push(report);
                return Err(error);
            }
        };
        let place = self.held.iter().position(|held| held.batch.is(batch));
        let Some(Held { since, thread, .. }) = place.map(|place| self.held.swap_remove(place)) else { return Ok(()) };
        self.metrics.settled(self.clock.moment().since(since));
        if let Some(next) = next {
            self.give(next, thread);
        }
        match (fates, now) {
            (Some(fates), Some(now)) => self.count(batch, fates, now),
            (Some(_), None) => warn!("the lease of a batch was lost: somebody else writes it too, which does no harm"),
            (None, _) => {}
        }
        Ok(())
    }

    /// How many new jobs are worth a thread: as many as fill a batch while another one than that of `done` writes several
    /// and will soon have room for more, and far more for each further one. Whoever writes beside others waits for their
    /// rows, and what comes in fewer batches costs less.
    fn least(&self, done: Option<&Batch>) -> usize {
        let now = self.clock.moment();
        let others = self.held.iter().filter(|held| !done.is_some_and(|done| held.batch.is(done)));
        let busy = others.filter(|held| held.batch.jobs.len() > 1 && now.since(held.since) < WRITTEN_SOON);
        busy.fold(1, |least, held| match least {
            1 => self.queue.full(&held.batch),
            least => least.saturating_mul(FURTHER_FACTOR),
        })
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

    /// What has to be done now and then; returns whether there may be jobs to take.
    async fn go_round(&mut self) -> Result<bool, LinkError> {
        panic_point("audit_agent", "");
        while let Some(report) = self.unsettled.pop() {
            self.settle(report, false).await?;
        }
        // Before what is over is taken back: after an outage that may be our own.
        if !self.held.is_empty() {
            let held: Vec<_> = self.held.iter().map(|held| &held.batch).collect();
            self.queue.renew(&held).await?;
        }
        self.queue.release_unheard().await?;
        let Survey { stats, now, over } = self.queue.survey().await?;
        let (reaped, dead) = self.queue.reap(&over).await?;
        if reaped + dead > 0 {
            self.metrics.reaped(reaped);
            self.metrics.dead(dead);
            warn!(waiting = reaped, dead, "audit jobs were taken back from somebody who has died");
        }
        let oldest_age_ms = stats.oldest.map_or(0, |oldest| now.since(oldest).as_ms());
        self.standing.learn(self.place, stats, Duration::from_millis(oldest_age_ms), self.pool.away());
        Ok(stats.waiting + stats.delayed + reaped > 0)
    }

    async fn finish(&mut self) {
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
        self.standing.reached(self.place, &done);
        self.held.retain(|held| !held.batch.is(&name));
    }
}
