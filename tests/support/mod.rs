//! What the tests share: servers, clients, sessions to create. Knows the wire format as any client does.

pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod dice;
pub(crate) mod directory;
pub(crate) mod faketime;
pub(crate) mod frames;
pub(crate) mod http;
pub(crate) mod instant;
pub(crate) mod outer_run;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod sentinel;
pub(crate) mod server;
pub(crate) mod sessions;
pub(crate) mod still;
pub(crate) mod wait;
pub(crate) mod ws;
