//! WebSocket, over real connections.

mod commands;
mod garbage;
mod idempotency;
mod joining;
mod liveness;
mod updates;
