//! The metrics of a store, whichever it is. Does not know how they are shown.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::engine::Timestamp;
use crate::supervision::Supervisor;

use super::budget::BytesBudget;

const ROUND_TRIP_BUCKETS_S: [f64; 12] =
    [0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
const LAG_BUCKETS_S: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.0];
const LATENESS_BUCKETS_S: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0, 10.0];

/// The metrics of a store, and the supervisor of its tasks. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) supervisor: Supervisor,
    round_trips: Family<OperationLabel, Histogram, fn() -> Histogram>,
    reconnects: Family<ConnectionLabel, Counter>,
    conflicts: Counter,
    retries: Counter,
    unknown: Counter,
    behind: Counter,
    clock_jumps: Counter,
    rejected: Family<RejectedLabel, Counter>,
    interrupted: Gauge,
    lag: Histogram,
    lateness: Histogram,
    sessions_bytes: BytesBudget,
    refused: Family<BoundLabel, Counter>,
}

/// What a round trip is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Read,
    Load,
    Commit,
    Sweep,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Reads,
    Changes,
    Sweep,
    Updates,
}

/// What the store holds that is not ours and is not used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rejected {
    /// A value that is no state.
    State,
    /// Something published that is no message, or says what is not so.
    Message,
    /// A member of the index of deadlines that names no session, or has no time.
    Deadline,
    /// A key that cannot be written as it is.
    Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectedLabel {
    what: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

/// A bound of what may be held at once.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// How many sessions.
    Sessions,
    /// What they take.
    SessionsBytes,
    /// What request bodies take that are on their way.
    BodiesBytes,
    /// An address's look-ups of sessions that the store does not have.
    Lookups,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabel {
    bound: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabel {
    connection: &'static str,
}

impl Rejected {
    const fn label(self) -> RejectedLabel {
        let what = match self {
            Rejected::State => "state",
            Rejected::Message => "message",
            Rejected::Deadline => "deadline",
            Rejected::Key => "key",
        };
        RejectedLabel { what }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let round_trips: fn() -> Histogram = || Histogram::new(ROUND_TRIP_BUCKETS_S);
        Self {
            supervisor: Supervisor::default(),
            round_trips: Family::new_with_constructor(round_trips),
            reconnects: Family::default(),
            conflicts: Counter::default(),
            retries: Counter::default(),
            unknown: Counter::default(),
            behind: Counter::default(),
            clock_jumps: Counter::default(),
            rejected: Family::default(),
            interrupted: Gauge::default(),
            lag: Histogram::new(LAG_BUCKETS_S),
            lateness: Histogram::new(LATENESS_BUCKETS_S),
            sessions_bytes: BytesBudget::new(usize::MAX),
            refused: Family::default(),
        }
    }
}

impl Metrics {
    /// Counters that `registry` shows.
    pub fn register(registry: &mut Registry, supervisor: Supervisor) -> Self {
        let metrics = Self { supervisor, ..Self::default() };
        let help = "One exchange with the store: many commands or reads share it";
        registry.register("synckairos_store_round_trip_seconds", help, metrics.round_trips.clone());
        let help = "Connections to the store that were lost and made again";
        registry.register("synckairos_store_reconnects", help, metrics.reconnects.clone());
        let help = "Groups of changes that another instance was faster than";
        registry.register("synckairos_store_conflicts", help, metrics.conflicts.clone());
        let help = "Commands that were tried again, for a conflict or a lost connection";
        registry.register("synckairos_store_retries", help, metrics.retries.clone());
        let help = "Changes of which the client was told that the outcome is not known";
        registry.register("synckairos_store_unknown_outcomes", help, metrics.unknown.clone());
        let help = "Sessions that were found behind what had been acknowledged, after the store was restarted";
        registry.register("synckairos_store_sessions_behind", help, metrics.behind.clone());
        let help = "How often the clock of the store was set";
        registry.register("synckairos_store_clock_jumps", help, metrics.clock_jumps.clone());
        let help = "Values, messages, index entries and keys in the store that are none of ours: they are not used";
        registry.register("synckairos_store_rejected", help, metrics.rejected.clone());
        for what in [Rejected::State, Rejected::Message, Rejected::Deadline, Rejected::Key] {
            drop(metrics.rejected.get_or_create(&what.label()));
        }
        let help = "Parts of the store whose updates this instance cannot hear";
        registry.register("synckairos_updates_interrupted", help, metrics.interrupted.clone());
        let help = "From a change, in whole ms, until this instance hands it to its clients";
        registry.register("synckairos_update_lag_seconds", help, metrics.lag.clone());
        let help = "From a deadline until the change that makes it count";
        registry.register("synckairos_deadline_lateness_seconds", help, metrics.lateness.clone());
        let help = "Memory that sessions take which this process keeps";
        registry.register("synckairos_sessions_bytes", help, metrics.sessions_bytes.clone());
        let help = "Requests that were refused because as much was held as may be";
        registry.register("synckairos_bounds_refused", help, metrics.refused.clone());
        for bound in [Bound::Sessions, Bound::SessionsBytes, Bound::BodiesBytes, Bound::Lookups] {
            let _shown = metrics.refused.get_or_create(&BoundLabel { bound: bound.name() });
        }
        metrics
    }

    /// What sessions take, which is `max` bytes at most.
    pub(super) fn sessions_bytes(&self, max: usize) -> BytesBudget {
        self.sessions_bytes.set_max(max);
        self.sessions_bytes.clone()
    }

    /// Something did not fit.
    pub fn refused(&self, bound: Bound) {
        self.refused.get_or_create(&BoundLabel { bound: bound.name() }).inc();
    }

    /// Sees to the tasks of whatever keeps sessions.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    pub(super) fn round_trip(&self, operation: Operation, took: Duration) {
        let operation = match operation {
            Operation::Read => "read",
            Operation::Load => "load",
            Operation::Commit => "commit",
            Operation::Sweep => "sweep",
        };
        self.round_trips.get_or_create(&OperationLabel { operation }).observe(took.as_secs_f64());
    }

    pub(super) fn reconnected(&self, connection: Role) {
        let connection = match connection {
            Role::Reads => "reads",
            Role::Changes => "changes",
            Role::Sweep => "sweep",
            Role::Updates => "updates",
        };
        self.reconnects.get_or_create(&ConnectionLabel { connection }).inc();
    }

    pub(super) fn conflict(&self) {
        self.conflicts.inc();
    }

    pub(super) fn retried(&self, commands: usize) {
        self.retries.inc_by(commands as u64);
    }

    pub(super) fn unknown_outcome(&self) {
        self.unknown.inc();
    }

    pub(super) fn behind(&self, sessions: u64) {
        self.behind.inc_by(sessions);
    }

    pub(super) fn clock_jumped(&self) {
        self.clock_jumps.inc();
    }

    /// Updates of a part are interrupted, or not any more.
    pub(super) fn updates_are(&self, interrupted: bool) {
        if interrupted {
            self.interrupted.inc();
        } else {
            self.interrupted.dec();
        }
    }

    pub(super) fn rejected(&self, what: Rejected) {
        self.rejected.get_or_create(&what.label()).inc();
    }

    #[cfg(test)]
    pub(super) fn count_of(&self, what: Rejected) -> u64 {
        self.rejected.get_or_create(&what.label()).get()
    }

    /// A change that was published at `published` is handed on, at `now_us`.
    pub(super) fn handed_on(&self, published: Timestamp, now_us: u64) {
        self.lag.observe(seconds_since(published, now_us));
    }

    /// A change at `now_us` is the first after a deadline.
    pub(super) fn fired(&self, deadline: Timestamp, now_us: u64) {
        self.lateness.observe(seconds_since(deadline, now_us));
    }
}

impl Bound {
    const fn name(self) -> &'static str {
        match self {
            Bound::Sessions => "sessions",
            Bound::SessionsBytes => "sessions_bytes",
            Bound::BodiesBytes => "bodies_bytes",
            Bound::Lookups => "lookups",
        }
    }
}

fn seconds_since(at: Timestamp, now_us: u64) -> f64 {
    Duration::from_micros(now_us.saturating_sub(at.as_ms() * 1_000)).as_secs_f64()
}
