//! Redis' protocol (RESP): pipelines of commands, replies, and one round trip over a stream. Does not know which server
//! is at the other end.

pub mod resp;
pub(super) mod pipeline;
pub(super) mod transport;
