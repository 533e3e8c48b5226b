//! The contract of what audit jobs are written into. Blocking: used on threads of its own. Does not know where
//! jobs come from.

use std::time::Duration;

/// Writes jobs down.
pub trait Sink: Send {
    /// Writes jobs in one transaction: all of them or none. A job that was written before is not written twice.
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError>;

    /// Finds out whether jobs could be written now, without writing any.
    fn probe(&mut self) -> Result<(), WriteError>;

    /// Lets go what others could use: there was nothing to write for a while.
    fn rest(&mut self);
}

/// Those that write at the same time, each on a thread of its own.
pub struct Sinks {
    pub(super) sinks: Vec<Box<dyn Sink>>,
    /// How long one may have nothing to write until it rests.
    pub(super) rest_after: Duration,
}

impl Sinks {
    /// As many as may write at the same time.
    pub fn new(count: usize, mut make: impl FnMut() -> Box<dyn Sink>) -> Self {
        Self { sinks: (0..count).map(|_| make()).collect(), rest_after: Duration::from_secs(10) }
    }

    /// The same, which rest when they have had nothing to write for so long.
    #[must_use]
    pub fn resting_after(self, rest_after: Duration) -> Self {
        Self { rest_after, ..self }
    }
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
    /// The database would have taken them, had others not been in the way again and again (SQLSTATE 40).
    Met(String),
    /// It took too long: as with a database that is away, but fewer jobs may pass.
    Late(String),
}

impl WriteError {
    /// In words.
    pub fn why(&self) -> &str {
        match self {
            Self::Job(why)
            | Self::Never(why)
            | Self::Unclear(why)
            | Self::Away(why)
            | Self::Met(why)
            | Self::Late(why) => why,
        }
    }
}
