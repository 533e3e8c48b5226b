//! What the tests share: servers, clients, sessions to create. Knows the wire format as any client does.

#![expect(dead_code, reason = "each test uses some of it")]

pub(crate) mod http;
pub(crate) mod program;
pub(crate) mod server;
pub(crate) mod sessions;
pub(crate) mod wait;
pub(crate) mod ws;
