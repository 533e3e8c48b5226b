//! What WebSocket connections share. Does not know any of them.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::sessions::{ClientRateLimit, Sessions};
use crate::store::PartitionClocks;

use super::hub::Hub;
use super::waiting::WaitingRoom;

/// What WebSocket connections share.
#[derive(Clone)]
pub struct WsContext {
    /// The sessions that clients watch and command.
    pub sessions: Sessions,
    /// The server clocks of these sessions.
    pub clocks: Arc<dyn PartitionClocks>,
    /// The process's own clock, where that of a session cannot be asked.
    pub clock: Clock,
    /// The general limit of each client.
    pub client_limit: ClientRateLimit,
    /// Who finds out who clients are; `None` where nobody is asked.
    pub authenticator: Option<Arc<Authenticator>>,
    /// Clients that must still say who they are.
    pub waiting: Arc<WaitingRoom>,
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
