//! What a scenario is: a way to load a server, with its help, its parameters and what it needs. Does not know which ones there
//! are.

use std::pin::Pin;

use crate::generator::failure::Result;
use crate::parameter::Parameter;
use crate::run::Run;
use crate::servers::Needs;

/// One way to load a server.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The help in one line.
    pub(crate) about: &'static str,
    /// The help: what it does, what it checks, what its figures say.
    pub(crate) details: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) needs: Needs,
    pub(crate) run: for<'r> fn(&'r mut Run) -> Work<'r>,
}

/// A scenario that runs.
pub(crate) type Work<'r> = Pin<Box<dyn Future<Output = Result<()>> + 'r>>;
