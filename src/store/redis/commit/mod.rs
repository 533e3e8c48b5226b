//! Commits: commands wait for a committer, which loads their sessions, decides and commits a batch of them at a time
//! under optimistic locking. `conflict_retry.rs` retries what met a conflict with another instance. Does not know what
//! a command is.

mod audit_producer;
mod batch_replies;
mod batch_session;
mod cancellation;
mod commit_batch;
mod commit_context;
mod commit_policy;
mod committer;
mod conflict_retry;
mod decoded_record;
mod deletion_script;
mod judgement;
mod pending_commit;
mod refusal_counter;
mod refusals;
mod replicas;
mod session_change;
mod session_write;
mod state_cache;
mod transaction;

pub(super) use audit_producer::AuditProducer;
pub use audit_producer::QueueBudget;
pub(super) use cancellation::Cancellation;
pub(super) use commit_context::{CommitContext, DecisionInputs};
pub use commit_policy::CommitPolicy;
pub(super) use committer::Committer;
pub(super) use pending_commit::PendingCommit;
pub(super) use refusal_counter::RefusalCounter;
pub(super) use replicas::Replicas;
