//! One server: where it is, how to log in to it, how a connection to it is made. Does not know which keys it keeps.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use crate::redis::error::RedisError;
use crate::redis::protocol::pipeline::Pipeline;
use crate::redis::protocol::transport::Transport;
use crate::runtime::{self, ByteStream, TaskHandle, time};

use super::credentials::Credentials;
use super::url::EndpointAddress;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long of that the TLS handshake may take: less, so that the error can name it.
const TLS_TIMEOUT: Duration = Duration::from_millis(800);

/// How long a reply to a login may be, in bytes.
const LINE_LEN_MAX: usize = 4_096;

/// A server that can be connected to.
#[derive(Clone)]
pub(in crate::redis) struct RedisEndpoint {
    pub(super) address: EndpointAddress,
    pub(super) credentials: Credentials,
    /// How to encrypt, if at all.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The server has replied before: then the scheme of the URL is right.
    pub(super) has_replied: Arc<AtomicBool>,
}

/// A connection of the library's that messages are pushed on, and the task that drives it; the task ends with it.
pub(in crate::redis) struct PushConnection {
    pub(in crate::redis) client: MultiplexedConnection,
    driver: TaskHandle<()>,
}

impl Drop for PushConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl RedisEndpoint {
    /// A connection on which a reply may take at most `reply_timeout`.
    pub(in crate::redis) async fn connect(&self, reply_timeout: Duration) -> Result<Transport, RedisError> {
        self.in_time(async { Ok(Transport::new(self.authenticated().await?, reply_timeout)) }).await
    }

    /// A connection that hears what is published.
    pub(in crate::redis) async fn subscribe(&self) -> Result<PubSub, RedisError> {
        self.in_time(async { Ok(PubSub::new(&no_login(), self.authenticated().await?).await?) }).await
    }

    /// A connection on which sharded Pub/Sub messages come to `pushed`.
    pub(in crate::redis) async fn subscribe_sharded(
        &self,
        pushed: mpsc::UnboundedSender<PushInfo>,
    ) -> Result<PushConnection, RedisError> {
        self.in_time(async {
            let config = AsyncConnectionConfig::new().set_push_sender(pushed);
            let login = no_login().set_protocol(ProtocolVersion::RESP3);
            let made = MultiplexedConnection::new_with_config(&login, self.authenticated().await?, config).await;
            let (client, driver) = made?;
            Ok(PushConnection { client, driver: runtime::spawn(driver) })
        })
        .await
    }

    /// Its host name; `None` for a Unix socket.
    pub(in crate::redis) fn host(&self) -> Option<&str> {
        match &self.address {
            EndpointAddress::Tcp { host, .. } => Some(host),
            EndpointAddress::Socket(_) => None,
        }
    }

    /// A stream that is logged in; an error holds the server's own words.
    async fn authenticated(&self) -> Result<Box<dyn ByteStream>, RedisError> {
        let mut stream = self.dial().await?;
        let login = self.credentials.now().await?;
        let mut hello = Pipeline::new();
        if let Some(password) = &login.password {
            hello.cmd("AUTH").args(login.user.as_deref()).arg(password.reveal());
        }
        if login.database != 0 {
            hello.cmd("SELECT").arg(login.database);
        }
        let broken = |error: std::io::Error| self.hung_up(&error);
        stream.write_all(hello.bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        for _ in 0..hello.len() {
            let line = line(&mut stream).await.map_err(broken)?;
            if let Some(why) = line.strip_prefix('-') {
                return Err(RedisError::Server(format!("{why} ({self})")));
            }
        }
        Ok(stream)
    }

    async fn dial(&self) -> Result<Box<dyn ByteStream>, RedisError> {
        let away = |error: std::io::Error| RedisError::Io(format!("{self}: {error}"));
        let (host, port) = match &self.address {
            EndpointAddress::Tcp { host, port } => (host, *port),
            EndpointAddress::Socket(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(away)?)),
        };
        if let Some(simulation) = runtime::simulation() {
            return simulation.connect(host, port).await.map_err(away);
        }
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(away)?;
        stream.set_nodelay(true).map_err(away)?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name =
            ServerName::try_from(host.clone()).map_err(|error| RedisError::Server(format!("{self}: {error}")))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream);
        match time::timeout(TLS_TIMEOUT, stream).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(RedisError::Io(format!("{self}: TLS: {error}"))),
            Err(_) => {
                let perhaps = if self.is_stranger() { "; perhaps it speaks none" } else { "" };
                Err(RedisError::Io(format!("{self}: TLS: no answer in time{perhaps}")))
            }
        }
    }

    /// The error for a server that hung up during the first exchange.
    pub(in crate::redis) fn hung_up(&self, why: &dyn fmt::Display) -> RedisError {
        let is_bare = self.tls.is_none() && self.host().is_some() && self.is_stranger();
        let perhaps = if is_bare { "; perhaps it speaks TLS only: rediss://" } else { "" };
        RedisError::Io(format!("{self}: {why}{perhaps}"))
    }

    /// Notes that the server has replied.
    pub(in crate::redis) fn note_reply(&self) {
        self.has_replied.store(true, Ordering::Relaxed);
    }

    /// The server has never replied: perhaps the scheme of the URL is wrong.
    fn is_stranger(&self) -> bool {
        !self.has_replied.load(Ordering::Relaxed)
    }

    /// What is made, unless that takes too long. It is kept apart from whatever waits for it: a handshake's state takes
    /// 16 KiB, and is part of no other future's.
    fn in_time<T>(
        &self,
        made: impl Future<Output = Result<T, RedisError>> + Send,
    ) -> impl Future<Output = Result<T, RedisError>> + Send {
        let made = Box::pin(made);
        async move {
            match time::timeout(CONNECT_TIMEOUT, made).await {
                Ok(made) => made,
                Err(_) => Err(RedisError::Io(format!("{self}: no answer in time"))),
            }
        }
    }
}

/// The library does not log in: the stream is logged in already.
fn no_login() -> RedisConnectionInfo {
    // CLIENT SETINFO costs two commands, and a permission.
    RedisConnectionInfo::default().set_skip_set_lib_name()
}

/// Reads the next line, a byte at a time: this happens once for each connection, and takes nothing of what follows.
async fn line(stream: &mut Box<dyn ByteStream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if line.len() > LINE_LEN_MAX {
            return Err(std::io::Error::other("it does not speak the protocol of Redis"));
        }
        line.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned())
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            EndpointAddress::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            EndpointAddress::Tcp { host, port } => write!(f, "{host}:{port}"),
            EndpointAddress::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the login.
        write!(f, "RedisEndpoint({self})")
    }
}
