//! Live updates over WebSocket: who watches which session, and what each of them still has to be sent.
//! Knows messages as bytes and when they are overtaken; does not know how sessions change.

mod allowance;
mod answers;
mod budget;
mod frame;
mod hub;
mod shared_writer;
mod metrics;
mod outbox;
mod client;
mod queue;
mod socket;
mod topic;
mod upgrade;
mod warnings;

use std::sync::Arc;
use std::time::Duration;

use crate::sessions::{ClientRateLimit, Sessions};
use crate::store::PartitionClocks;

pub use client::serve;
pub use hub::Hub;
pub use upgrade::{UpgradeRequest, invite};
pub use warnings::warn;

/// What WebSocket connections share.
#[derive(Clone)]
pub struct WsContext {
    /// The sessions that clients watch and command.
    pub sessions: Sessions,
    /// The server clocks of these sessions.
    pub clocks: Arc<dyn PartitionClocks>,
    /// The general limit of each client.
    pub client_limit: ClientRateLimit,
    /// Who watches what.
    pub hub: Arc<Hub>,
    /// How often a client must show that it is there.
    pub heartbeat: Duration,
    /// How long an answer may take.
    pub request_timeout: Duration,
    /// How many bytes of answers a client may ask for in a second; 0 is without limit.
    pub answer_bytes_per_s: u32,
    /// How long a client may leave a message unread.
    pub write_timeout: Duration,
}
