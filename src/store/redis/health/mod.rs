//! The health of a shard: its server, the keys that it needs, values that cannot be read, and what another run of the
//! server has lost. Does not know what the sessions are.

mod faults;
mod health_log;
mod inspection;
pub(super) mod loss_detector;
mod quarantine;
mod server_health;
mod shard_health;

pub(super) use health_log::HealthLog;
pub(super) use inspection::Inspection;
pub(super) use loss_detector::LossDetector;
pub(super) use server_health::ServerHealth;
pub(super) use shard_health::{DEGRADATIONS, ShardHealth};
