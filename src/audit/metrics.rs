//! The audit's metrics. Does not know how they are shown.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::supervision::Supervisor;

use super::inspect::QueueStats;

const LAG_BUCKETS_S: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0, 600.0];
const BATCH_BUCKETS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 2_048.0];
const DURATION_BUCKETS_S: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 30.0];

/// The audit's metrics, and the supervisor of its tasks. Cloning shares them.
#[derive(Clone, Debug)]
pub struct AuditMetrics {
    pub(super) supervisor: Supervisor,
    queued: Gauge,
    dead_now: Gauge,
    bytes: Gauge,
    oldest_age_s: Gauge<f64, std::sync::atomic::AtomicU64>,
    written: Counter,
    retried: Counter,
    dead: Counter,
    reaped: Counter,
    batches: Histogram,
    durations: Histogram,
    lag: Histogram,
    busy: Gauge,
}

impl Default for AuditMetrics {
    fn default() -> Self {
        Self {
            supervisor: Supervisor::default(),
            queued: Gauge::default(),
            dead_now: Gauge::default(),
            bytes: Gauge::default(),
            oldest_age_s: Gauge::default(),
            written: Counter::default(),
            retried: Counter::default(),
            dead: Counter::default(),
            reaped: Counter::default(),
            batches: Histogram::new(BATCH_BUCKETS),
            durations: Histogram::new(DURATION_BUCKETS_S),
            lag: Histogram::new(LAG_BUCKETS_S),
            busy: Gauge::default(),
        }
    }
}

impl AuditMetrics {
    /// Registers the metrics with `registry`.
    pub fn register(registry: &mut Registry, supervisor: Supervisor) -> Self {
        let metrics = Self { supervisor, ..Self::default() };
        let help = "Audit jobs that are not written yet, over all instances, dead ones not included";
        registry.register("synckairos_db_write_queue_size", help, metrics.queued.clone());
        let help = "Audit jobs that were given up and wait for somebody to decide";
        registry.register("synckairos_audit_dead_jobs", help, metrics.dead_now.clone());
        let help = "Bytes of audit jobs that are not written, dead ones included";
        registry.register("synckairos_audit_queue_bytes", help, metrics.bytes.clone());
        let help = "Age of the oldest change that is not written yet, dead jobs not included";
        registry.register("synckairos_audit_oldest_job_age_seconds", help, metrics.oldest_age_s.clone());
        registry.register("synckairos_audit_written", "Audit jobs that were written", metrics.written.clone());
        let help = "Audit jobs that could not be written and were delayed";
        registry.register("synckairos_audit_retried", help, metrics.retried.clone());
        registry.register("synckairos_audit_dead", "Audit jobs that were given up", metrics.dead.clone());
        let help = "Audit jobs whose holder died, queued again";
        registry.register("synckairos_audit_reaped", help, metrics.reaped.clone());
        registry.register("synckairos_audit_batch_jobs", "Audit jobs in a batch", metrics.batches.clone());
        let help = "From fetching a batch until it is settled";
        registry.register("synckairos_audit_batch_duration_seconds", help, metrics.durations.clone());
        let help = "From a change until its row is committed";
        registry.register("synckairos_audit_lag_seconds", help, metrics.lag.clone());
        let help = "Writer threads with a batch, each with a connection of its own";
        registry.register("synckairos_audit_connections_busy", help, metrics.busy.clone());
        metrics
    }

    pub(super) fn queue_stats(&self, stats: &QueueStats, oldest_age: Duration) {
        self.queued.set((stats.waiting + stats.leased + stats.delayed) as i64);
        self.dead_now.set(stats.dead as i64);
        self.bytes.set(stats.bytes as i64);
        self.oldest_age_s.set(oldest_age.as_secs_f64());
    }

    pub(super) fn fetched(&self, jobs: usize) {
        self.batches.observe(jobs as f64);
        self.busy.inc();
    }

    pub(super) fn acknowledged(&self, took: Duration) {
        self.durations.observe(took.as_secs_f64());
        self.busy.dec();
    }

    pub(super) fn written(&self, lag: Duration) {
        self.written.inc();
        self.lag.observe(lag.as_secs_f64());
    }

    pub(super) fn retried(&self) {
        self.retried.inc();
    }

    pub(super) fn dead(&self, jobs: u64) {
        self.dead.inc_by(jobs);
    }

    pub(super) fn reaped(&self, jobs: u64) {
        self.reaped.inc_by(jobs);
    }
}
