//! What the committers of a shard share, by what belongs together: what a decision depends on, how records are stored,
//! the audit queue, refusals, replicas. Does not know how a batch is committed.

use std::sync::Arc;

use crate::redis::Keyspace;
use crate::store::Metrics;
use crate::store::arrival::Arrivals;
use crate::store::redis::deadlines::Timers;
use crate::store::redis::health::{LossDetector, ShardHealth};
use crate::store::redis::record_policy::RecordPolicy;
use crate::store::redis::time::ServerClock;
use crate::supervision::Supervisor;

use super::audit_producer::AuditProducer;
use super::refusal_counter::RefusalCounter;
use super::replicas::Replicas;

/// What the committers of a shard share.
pub(in crate::store::redis) struct CommitContext {
    pub(in crate::store::redis) keyspace: Keyspace,
    pub(in crate::store::redis) inputs: DecisionInputs,
    pub(in crate::store::redis) records: RecordPolicy,
    pub(in crate::store::redis) audit: AuditProducer,
    pub(in crate::store::redis) refusals: RefusalCounter,
    pub(in crate::store::redis) replicas: Replicas,
    pub(in crate::store::redis) health: Arc<ShardHealth>,
    pub(in crate::store::redis) metrics: Metrics,
}

/// What a decision on a session depends on beside its record.
pub(in crate::store::redis) struct DecisionInputs {
    pub(in crate::store::redis) server_clock: Arc<ServerClock>,
    /// Commands on their way.
    pub(in crate::store::redis) arrivals: Arc<Arrivals>,
    /// Deadlines that this instance knows of.
    pub(in crate::store::redis) timers: Arc<Timers>,
    /// What this instance has acknowledged.
    pub(in crate::store::redis) loss_detector: Arc<LossDetector>,
    pub(in crate::store::redis) supervisor: Supervisor,
}
