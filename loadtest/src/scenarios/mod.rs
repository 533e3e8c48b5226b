//! The scenarios: a file for each, and the table of them. Does not know how requests are sent.

mod audit_drain;
mod baseline;
mod deadlines;
mod idle_instance;
mod idle_sockets;
mod mixed;
mod players;
mod stored;
mod switching;
mod watched;

use std::pin::Pin;

use crate::generator::failure::Result;
use crate::options::Knob;
use crate::run::Run;
use crate::servers::Needs;

/// One way to load a server.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// In a line.
    pub(crate) about: &'static str,
    /// What it does, what it checks, what its figures say.
    pub(crate) details: &'static str,
    pub(crate) knobs: &'static [Knob],
    pub(crate) needs: Needs,
    pub(crate) run: for<'r> fn(&'r mut Run) -> Work<'r>,
}

/// A scenario that runs.
pub(crate) type Work<'r> = Pin<Box<dyn Future<Output = Result<()>> + 'r>>;

/// All of them, in the order in which they are best run.
pub(crate) const SCENARIOS: [Scenario; 12] = [
    baseline::SCENARIO,
    switching::SCENARIO,
    watched::SESSIONS_1000,
    watched::SESSIONS_10000,
    watched::FAN_OUT,
    watched::FAN_OUT_5000,
    deadlines::SCENARIO,
    mixed::SCENARIO,
    stored::SCENARIO,
    idle_sockets::SCENARIO,
    idle_instance::SCENARIO,
    audit_drain::SCENARIO,
];
