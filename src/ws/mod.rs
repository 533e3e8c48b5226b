//! Live updates over WebSocket: which clients watch which session, and what each of them still has to be sent. Knows messages
//! as bytes and when they are overtaken; does not know how sessions change.

mod admission;
mod allowance;
mod answers;
mod budget;
mod frame;
mod hub;
mod identity_watch;
mod shared_writer;
mod metrics;
mod outbox;
mod client;
mod client_reader;
mod context;
mod outgoing;
mod queue;
mod socket;
mod topic;
mod upgrade;
mod waiting;
mod warnings;

pub use client::serve;
pub use context::WsContext;
pub use hub::Hub;
pub use upgrade::{Entrance, InvitedClient, UpgradeRequest, invite};
pub use waiting::{WaitingPlace, WaitingRoom};
pub use warnings::warn;
