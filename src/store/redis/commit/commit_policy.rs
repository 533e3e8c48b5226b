//! What is owed before a commit is acknowledged, beside the state itself. Does not know how it is done.

use super::audit_producer::QueueBudget;

/// What is owed before a commit is acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct CommitPolicy {
    /// The bound of the audit queue; `None` when changes are not audited.
    pub audit: Option<QueueBudget>,
    /// How many replicas must have the change.
    pub replicas_min: u32,
}
