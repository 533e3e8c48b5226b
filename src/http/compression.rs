//! Compression of answers for clients that accept it (RFC 9110, section 8.4.1.3: gzip). Small ones cost more than they save and
//! go as they are. Does not know what is answered.

use std::io::Write;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use tokio::sync::Semaphore;

use crate::supervision::{Supervisor, panic_point};

use super::accept::weight;
use super::body::Body;
use super::response::{Response, ResponseKind};

/// The longest answer that goes as it is, in bytes.
const LEN_MIN: usize = 2_048;
/// What is longer, in bytes, is compressed on a thread that no other request waits for.
const LEN_AT_ONCE_MAX: usize = 16 * 1_024;

/// What compressing is called where its faults are counted.
const COMPRESSION: &str = "compression";

/// Compresses answers.
#[derive(Debug)]
pub(super) struct Compressor {
    supervisor: Supervisor,
    /// As many long answers at the same time as there are processors; others go as they are.
    threads: Arc<Semaphore>,
}

impl Compressor {
    /// One whose faults are noticed by `supervisor`.
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self { supervisor, threads: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))) }
    }

    /// Whether a reply is long enough.
    pub(super) fn is_for(reply: &Response) -> bool {
        reply.body.len() > LEN_MIN
    }

    /// A reply that is long enough, as the client wants it. It says that it could have been compressed, for caches.
    pub(super) async fn apply(&self, headers: &HeaderMap, reply: Response) -> Response {
        let reply = reply.with(VARY, HeaderValue::from_static("Accept-Encoding"));
        if !is_wanted(headers) {
            return reply;
        }
        let body = reply.body.concat();
        let compressed = if body.len() <= LEN_AT_ONCE_MAX {
            Some(gzip(&body))
        } else {
            match Arc::clone(&self.threads).try_acquire_owned() {
                Ok(permit) => {
                    let compress = move || {
                        panic_point(COMPRESSION, "");
                        let compressed = gzip(&body);
                        drop(permit);
                        compressed
                    };
                    // What cannot be compressed goes as it is.
                    self.supervisor.block(COMPRESSION, compress).await.ok()
                }
                Err(_) => None,
            }
        };
        let Some(compressed) = compressed else { return reply };
        let kind = match reply.kind {
            ResponseKind::State(tag) => ResponseKind::Coded(tag),
            kind @ (ResponseKind::Empty
            | ResponseKind::Json
            | ResponseKind::Fresh
            | ResponseKind::Coded(_)
            | ResponseKind::Known(_)
            | ResponseKind::Text(_)) => kind,
        };
        Response { kind, body: Body::from(compressed), ..reply }
            .with(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
    }
}

/// Whether a client wants gzip, and does not want what is not compressed more.
fn is_wanted(headers: &HeaderMap) -> bool {
    let wanted = |coding: &'static str| {
        weight(headers, &ACCEPT_ENCODING, move |entry| match entry.split(';').next().map(str::trim) {
            Some(name) if name.eq_ignore_ascii_case(coding) => Some(1),
            Some("*") => Some(0),
            Some(_) | None => None,
        })
    };
    let gzip = wanted("gzip").or_else(|| wanted("x-gzip")).unwrap_or_default();
    let identity = weight(headers, &ACCEPT_ENCODING, |entry| {
        entry.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("identity")).then_some(1)
    });
    gzip > 0 && identity.is_none_or(|identity| gzip >= identity)
}

/// At the fastest level: of a state of 24 KB it leaves 18 % in 0.25 ms, where the usual one leaves 16 % in 1.6 ms.
fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).expect("writing to memory does not fail");
    encoder.finish().expect("writing to memory does not fail").into()
}

#[cfg(test)]
mod tests {
    use super::is_wanted;
    use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

    #[test]
    fn is_for_whoever_wants_it() {
        for (value, expected) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("x-gzip", true),
            ("GZIP;q=0.1", true),
            ("*", true),
            ("gzip;q=0", false),
            ("*;q=0", false),
            ("identity, gzip;q=0.5", false),
            ("identity;q=0.5, gzip;q=0.5", true),
            ("br", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(is_wanted(&headers), expected, "{value}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }
}
