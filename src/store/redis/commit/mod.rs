//! Commits: commands wait for a committer, which loads their sessions, decides and commits a batch of them at a time under
//! optimistic locking. `committer.rs` retries a batch after a conflict and looks up one whose outcome is in doubt. Does not
//! know what a command is.

mod audit_producer;
mod batch_session;
mod cancellation;
mod commit_batch;
mod committer;
mod deletion_script;
mod pending_commit;
mod refusals;
mod replicas;
mod session_change;
mod state_cache;

pub use audit_producer::QueueBudget;
pub(super) use batch_session::seconds;
pub(super) use cancellation::Cancellation;
pub(super) use committer::Committer;
pub(super) use pending_commit::PendingCommit;
pub(super) use replicas::Replicas;
