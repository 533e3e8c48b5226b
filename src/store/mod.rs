//! Where sessions are kept: the contract by roles, what its backends share, and the backends themselves. Does not know
//! what a command is, nor who asks.

pub mod contract;
mod arrival;
mod budget;
mod countdown;
mod durability;
pub mod file;
mod ids;
mod lifetime;
pub mod memory;
mod metrics;
mod rate_limit;
mod record;
pub mod redis;
mod stored_state;

pub use arrival::{Arrival, Arrivals};
pub use budget::{BytesBudget, HeldBytes};
pub use contract::{
    Archive, ArchivedChange, ArchivedChanges, ArchivedState, Backend, BoxFuture, CommandKey, CommandOrigin, Commit,
    CommitOutcome, Committed, Deadlines, Decision, DecisionContext, KeptRevocations, Listener, Mutation, PageLimit,
    PartitionClocks, PendingAudit, REFUSALS, RateLimit, RateLimitStatus, RateLimiter, Read, Repetition,
    RevocationStore, SessionStore, StoreError, StoreFuture, Subscribed, Subscription, Update, Verdict,
};
pub use countdown::Countdown;
pub use durability::{Durability, DurabilityTicket, DurableChange, Volatile};
pub use lifetime::Lifetimes;
pub use metrics::{Bound, Metrics};
pub use record::{Record, Snapshot};
