//! REST over HTTP/1.1: connections, routes, handlers. Knows how requests are read and answers are framed;
//! does not know what a session does, nor where it is kept.

mod accept;
mod admission;
mod answer_log;
mod body;
mod compression;
mod connection;
mod cors;
mod exposition;
mod framing;
mod handlers;
mod response_headers;
mod linger;
mod listener;
mod metrics;
mod peer;
mod connection_state;
mod rate_limit_headers;
mod response;
mod request_context;
mod request_id;
mod router;
mod routes;
mod server;
mod service;
mod socket;

pub use admission::ConnectionLimits;
pub use connection::Timeouts;
pub use cors::Cors;
pub use listener::HttpListener;
pub use routes::{Resource, resources};
pub use server::{Environment, Server, ServerOptions};
