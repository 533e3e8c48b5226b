//! What WebSocket clients are promised, over real connections.

mod commands;
mod every_change;
mod garbage;
mod joining;
mod liveness;
mod updates;
