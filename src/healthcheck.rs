//! Probes a running server over HTTP, for a container's health check or a person at a terminal. Speaks as much HTTP as
//! that takes. Does not know what an answer means, except its status.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// How long a probe may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(2);
/// An answer that is longer comes from something else.
const ANSWER_BYTES_MAX: u64 = 16_384;

/// What to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Liveness: a restart helps when it fails.
    Liveness,
    /// Readiness: a restart does not help while a dependency is unavailable.
    Readiness,
}

impl Probe {
    fn path(self) -> &'static str {
        match self {
            Probe::Liveness => "/health",
            Probe::Readiness => "/ready",
        }
    }
}

/// The URL of a server on this machine that listens on `address`.
pub fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// What the server at `url` answers, in a line; `Err` when it is not well or cannot be asked. Besides `http://` there is
/// `unix:/path`, with another colon before what its paths begin with.
pub async fn ask(url: &str, probe: Probe) -> Result<String, String> {
    let server = ProbedServer::parse(url).ok_or_else(|| format!("{url:?} is not like http://127.0.0.1:3000"))?;
    let asked = format!("{}{}", server.url, probe.path());
    let answer = tokio::time::timeout(TIMEOUT, server.get(probe)).await;
    let answer = answer.map_err(|_| format!("{asked}: no answer within {} s", TIMEOUT.as_secs()))?;
    let (status, body) = answer.map_err(|error| format!("{asked}: {error}"))?;
    match status.as_str() {
        "200" => Ok(format!("{asked}: {body}")),
        _ => Err(format!("{asked}: {status} {body}")),
    }
}

/// The server that a URL names.
struct ProbedServer<'u> {
    url: &'u str,
    socket: ServerSocket<'u>,
    base_path: &'u str,
}

enum ServerSocket<'u> {
    Tcp(&'u str),
    Unix(&'u str),
}

impl<'u> ProbedServer<'u> {
    fn parse(url: &'u str) -> Option<Self> {
        let url = url.strip_suffix('/').unwrap_or(url);
        if let Some(rest) = url.strip_prefix("unix:") {
            let (path, base_path) = rest.split_once(':').unwrap_or((rest, ""));
            return path.starts_with('/').then_some(Self { url, socket: ServerSocket::Unix(path), base_path });
        }
        let rest = url.strip_prefix("http://")?;
        let (authority, base_path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain = !authority.is_empty() && !rest.contains(['?', '#', '@', ' ']) && !base_path.ends_with('/');
        is_plain.then_some(Self { url, socket: ServerSocket::Tcp(authority), base_path })
    }

    /// Status and first line of the answer to a GET.
    async fn get(&self, probe: Probe) -> io::Result<(String, String)> {
        let path = format!("{}{}", self.base_path, probe.path());
        match self.socket {
            ServerSocket::Unix(path_of_socket) => {
                exchange(UnixStream::connect(path_of_socket).await?, "localhost", &path).await
            }
            ServerSocket::Tcp(authority) => {
                let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                let address = if has_port { authority.to_owned() } else { format!("{authority}:80") };
                exchange(TcpStream::connect(address).await?, authority, &path).await
            }
        }
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
) -> io::Result<(String, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    let head_and_body = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split_once("\r\n\r\n"));
    let (head, body) = head_and_body.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    let first = |text: &str, end: [char; 2]| text.split(end).next().unwrap_or_default().to_owned();
    Ok((first(head, [' ', '\r']), first(body, ['\r', '\n'])))
}
