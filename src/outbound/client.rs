//! Asks for one thing over HTTP/1.1: looks up the name, judges every address, connects to one that was judged, and reads so much of
//! the answer. Follows no redirect, and goes through no proxy. Does not know what the answer says.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, HOST, HeaderMap, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::runtime::{ByteStream, time};
use crate::tls;

use super::address::Reach;
use super::url::OutboundUrl;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const ANSWER_LEN_MAX: usize = 256 * 1_024;

/// Asks other servers.
#[derive(Clone)]
pub struct OutboundClient(Arc<ClientConfig>);

/// Why there is no answer; for the operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundError(pub String);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What was read.
    pub body: Bytes,
    /// How long it stays true, as its server says.
    pub max_age: Option<Duration>,
}

impl OutboundClient {
    /// Believes the authorities in a file (PEM), or else those that the system believes.
    pub fn new(authorities: Option<&Path>) -> Result<Self, String> {
        let config = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?;
        let config = config.with_root_certificates(tls::authorities(authorities)?).with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Gets what is at a URL.
    pub async fn get(&self, url: &OutboundUrl) -> Result<Fetched, OutboundError> {
        match time::timeout(TIMEOUT, self.exchange(url)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(OutboundError(format!("no answer in {} s", TIMEOUT.as_secs()))),
        }
    }

    async fn exchange(&self, url: &OutboundUrl) -> Result<Fetched, OutboundError> {
        let stream = self.connect(url).await?;
        let broken = |error: hyper::Error| OutboundError(format!("no answer: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::builder()
            .method(Method::GET)
            .uri(&url.path)
            .header(HOST, &url.authority)
            .header(USER_AGENT, concat!("synckairos/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(NoBody)
            .map_err(|error| OutboundError(error.to_string()))?;
        let mut asked = pin!(async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            if status.is_redirection() {
                return Err(OutboundError(format!("{status}: redirects are not followed")));
            }
            if status.as_u16() != 200 {
                return Err(OutboundError(format!("the answer is {status}")));
            }
            if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
                return Err(OutboundError("the answer is compressed, which was not asked for".to_owned()));
            }
            let max_age = max_age(response.headers());
            Ok(Fetched { body: read(response.into_body()).await?, max_age })
        });
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            fetched = &mut asked => fetched,
            // What was read of the answer is still to be had.
            _ = &mut connection => asked.await,
        }
    }

    async fn connect(&self, url: &OutboundUrl) -> Result<Box<dyn ByteStream>, OutboundError> {
        let found = tokio::net::lookup_host((&*url.host, url.port)).await;
        let found = found.map_err(|error| OutboundError(format!("{}: {error}", url.host)))?;
        let may_be_asked = |address: &SocketAddr| match Reach::of(address.ip()) {
            Reach::Loopback => true,
            Reach::Private | Reach::Public => url.is_encrypted,
            Reach::Forbidden => false,
        };
        let mut failure = OutboundError(format!("{}: it has no address that may be asked", url.host));
        for address in found.filter(may_be_asked) {
            match TcpStream::connect(address).await {
                Ok(tcp) => return self.encrypt(url, tcp).await,
                Err(error) => failure = OutboundError(format!("{address}: {error}")),
            }
        }
        Err(failure)
    }

    async fn encrypt(&self, url: &OutboundUrl, tcp: TcpStream) -> Result<Box<dyn ByteStream>, OutboundError> {
        if !url.is_encrypted {
            return Ok(Box::new(tcp));
        }
        let name = ServerName::try_from(url.host.clone());
        let name = name.map_err(|error| OutboundError(format!("{}: {error}", url.host)))?;
        let encrypted = TlsConnector::from(Arc::clone(&self.0)).connect(name, tcp).await;
        Ok(Box::new(encrypted.map_err(|error| OutboundError(format!("TLS: {error}")))?))
    }
}

impl std::fmt::Debug for OutboundClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OutboundClient")
    }
}

impl std::fmt::Display for OutboundError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, OutboundError> {
    let too_long = || OutboundError(format!("the answer is longer than {} KiB", ANSWER_LEN_MAX >> 10));
    if body.size_hint().lower() > ANSWER_LEN_MAX as u64 {
        return Err(too_long());
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|context| pin!(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| OutboundError(format!("the answer broke off: {error}")))?;
        if let Ok(piece) = frame.into_data() {
            if bytes.len() + piece.len() > ANSWER_LEN_MAX {
                return Err(too_long());
            }
            bytes.extend_from_slice(&piece);
        }
    }
    Ok(bytes.freeze())
}

/// How long an answer stays true (RFC 9111, section 5.2.2); what must not be stored is true for no time.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let texts = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<_> =
        texts.flat_map(|text| text.split(',')).map(|one| one.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|one| one == "no-store" || one == "no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = directives.iter().find_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    seconds.map(Duration::from_secs)
}

/// A request without a body.
struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::header::{CACHE_CONTROL, HeaderMap};

    use super::max_age;

    #[test]
    fn an_answer_says_how_long_it_is_true() {
        for (text, seconds) in [
            ("max-age=60", Some(60)),
            ("public, Max-Age=3600, must-revalidate", Some(3_600)),
            ("no-store", Some(0)),
            ("max-age=-1", None),
            ("max-age=99999999999999999999", None),
            ("s-maxage=5", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().expect("it is a value"));
            assert_eq!(max_age(&headers), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
