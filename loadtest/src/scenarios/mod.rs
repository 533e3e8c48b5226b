//! The scenarios: a file for each, and the table of them. Does not know how requests are sent.

mod audit_drain;
mod baseline;
mod deadlines;
mod flood;
mod idle_instance;
mod idle_sockets;
mod mixed;
mod players;
mod stored;
mod switching;
mod fan_out;

use crate::scenario::Scenario;

/// All of them, in the order in which they are best run.
pub(crate) const SCENARIOS: [Scenario; 13] = [
    baseline::SCENARIO,
    switching::SCENARIO,
    fan_out::SESSIONS_1000,
    fan_out::SESSIONS_10000,
    fan_out::FAN_OUT,
    fan_out::FAN_OUT_5000,
    deadlines::SCENARIO,
    mixed::SCENARIO,
    flood::SCENARIO,
    stored::SCENARIO,
    idle_sockets::SCENARIO,
    idle_instance::SCENARIO,
    audit_drain::SCENARIO,
];
