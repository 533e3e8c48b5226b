//! The health of a shard: its server, the keys that it needs, values that cannot be read, and what another run of the server
//! has lost. Does not know what the sessions are.

pub(super) mod faults;
pub(super) mod inspection;
pub(super) mod loss_detector;
pub(super) mod quarantine;
pub(super) mod server_health;
