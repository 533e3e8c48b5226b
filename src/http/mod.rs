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
mod head;
mod linger;
mod listener;
mod metrics;
mod peer;
mod phase;
mod quota;
mod reply;
mod request_id;
mod router;
mod server;
mod service;
mod socket;

pub use admission::Room;
pub use connection::Limits;
pub use cors::Cors;
pub use listener::Listener;
pub use router::{RESOURCES, Resource};
pub use server::{Environment, Options, Server};
