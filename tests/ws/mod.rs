//! WebSocket, over real connections.

mod commands;
mod garbage;
mod joining;
mod liveness;
mod updates;
