//! What is done with inputs that are made up. A target takes any bytes, reads them by code of the server, and panics when what
//! comes of it is not what it should be: an oracle says something else, a rule of the engine does not hold, or what was read
//! is another thing once it is written and read again. Does not know who makes inputs up: `fuzz/` mutates them by the
//! branches that they take, and the server's tests repeat those that are kept in `fuzz/corpus/`.

mod addresses;
mod audit_job;
mod choices;
mod client_message;
mod create;
mod engine;
mod http;
mod json;
mod merge;
mod model;
mod model_fields;
mod model_number;
mod patch;
mod pubsub_message;
mod query;
mod record;
mod resp;
mod server;
mod settings;
mod tokens;
mod websocket;

/// One kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its corpus.
    pub name: &'static str,
    /// Reads an input, and panics when something is wrong.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "addresses", run: addresses::run },
    Target { name: "audit_job", run: audit_job::run },
    Target { name: "client_message", run: client_message::run },
    Target { name: "create", run: create::run },
    Target { name: "engine", run: engine::run },
    Target { name: "http", run: http::run },
    Target { name: "json", run: json::run },
    Target { name: "merge", run: merge::run },
    Target { name: "patch", run: patch::run },
    Target { name: "pubsub_message", run: pubsub_message::run },
    Target { name: "query", run: query::run },
    Target { name: "record", run: record::run },
    Target { name: "resp", run: resp::run },
    Target { name: "settings", run: settings::run },
    Target { name: "tokens", run: tokens::run },
    Target { name: "websocket", run: websocket::run },
];

/// The target of a name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
