//! The contract of what audit jobs are written into. Blocking: each sink has a thread of its own. Does not know where jobs
//! come from.

use std::time::Duration;

/// Writes jobs as rows.
pub trait Sink: Send {
    /// Writes jobs in one transaction: all of them or none. Idempotent: a job that is there already is not written twice.
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError>;

    /// Finds out whether jobs could be written now, without writing any.
    fn probe(&mut self) -> Result<(), WriteError>;

    /// Closes its connection, which was idle for a while; the next write opens another one.
    fn disconnect(&mut self);
}

/// Sinks that write at the same time, each on a thread of its own.
pub struct Sinks {
    pub(super) sinks: Vec<Box<dyn Sink>>,
    /// How long one may be idle until it is disconnected.
    pub(super) idle_timeout: Duration,
}

impl Sinks {
    /// `count` sinks, which may all write at the same time.
    pub fn new(count: usize, mut make: impl FnMut() -> Box<dyn Sink>) -> Self {
        Self { sinks: (0..count).map(|_| make()).collect(), idle_timeout: Duration::from_secs(10) }
    }

    /// The same, disconnected after being idle for so long.
    #[must_use]
    pub fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self { idle_timeout, ..self }
    }
}

/// Why jobs were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// At least one job is to blame (SQLSTATE 22, 54), or cannot be read: it is retried some times.
    BadJob(String),
    /// At least one job violates a constraint (SQLSTATE 23): retrying it is of no use.
    Constraint(String),
    /// The database answered with an error that may be the jobs' fault or its own.
    Unclear(String),
    /// The database is unavailable: the jobs have nothing to do with it.
    Unavailable(String),
    /// Other transactions conflicted again and again (SQLSTATE 40): fewer rows conflict less.
    Conflict(String),
    /// It took too long: the database may be unavailable, or fewer jobs may be in time.
    Timeout(String),
}

impl WriteError {
    /// The cause, as text.
    pub fn why(&self) -> &str {
        match self {
            Self::BadJob(why)
            | Self::Constraint(why)
            | Self::Unclear(why)
            | Self::Unavailable(why)
            | Self::Conflict(why)
            | Self::Timeout(why) => why,
        }
    }
}
