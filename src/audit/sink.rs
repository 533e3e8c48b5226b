//! The contract of what audit jobs are written into. Blocking: used on threads of its own. Does not know where
//! jobs come from.

/// Writes jobs down.
pub trait Sink: Send {
    /// Writes jobs in one transaction: all of them or none. A job that was written before is not written twice.
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError>;
}

/// Why jobs were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The jobs are to blame, at least one of them (SQLSTATE 22, 54): it may be retried some times.
    Job(String),
    /// At least one job can never be written (SQLSTATE 23).
    Never(String),
    /// The database answered with an error that may be the jobs' fault or not.
    Unclear(String),
    /// The database is away: the jobs have nothing to do with it.
    Away(String),
    /// It took too long: as with a database that is away, but fewer jobs may pass.
    Late(String),
}
