//! One server: where it is, how to log in to it, how a connection to it is made. Does not know what it is for.

use std::fmt;
use std::path::PathBuf;
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
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use crate::secret::Secret;

use super::address::Logins;
use super::commands::Commands;
use super::exchange::{Exchange, Stream};
use super::link::LinkError;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long of that may go by until it is agreed how to encrypt: then it can be told that nobody answered to that.
const TLS_TIMEOUT: Duration = Duration::from_millis(800);

/// How long an answer to a login may be.
const LINE_LEN_MAX: usize = 4_096;

/// A server that can be connected to.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) at: At,
    pub(super) login: Logins,
    /// How to encrypt, if at all.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Somebody there has replied: then it is known how to speak to them.
    pub(super) has_replied: Arc<AtomicBool>,
}

/// Who comes, and which database is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    Tcp { host: String, port: u16 },
    Socket(PathBuf),
}

/// A connection of the library's, and the task that keeps it going: it ends with it, whatever is still under way.
pub(super) struct Connection {
    pub(super) wire: MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// A connection on which a reply may take so long.
    pub(super) async fn connect(&self, reply_timeout: Duration) -> Result<Exchange, LinkError> {
        self.in_time(async { Ok(Exchange::new(self.stream().await?, reply_timeout)) }).await
    }

    /// A connection that is told what is published.
    pub(super) async fn subscribe(&self) -> Result<PubSub, LinkError> {
        self.in_time(async { Ok(PubSub::new(&nobody(), self.stream().await?).await?) }).await
    }

    /// A connection on which what is published in shards comes to `pushed`.
    pub(super) async fn subscribe_sharded(
        &self,
        pushed: mpsc::UnboundedSender<PushInfo>,
    ) -> Result<Connection, LinkError> {
        self.in_time(async {
            let config = AsyncConnectionConfig::new().set_push_sender(pushed);
            let login = nobody().set_protocol(ProtocolVersion::RESP3);
            let made = MultiplexedConnection::new_with_config(&login, self.stream().await?, config).await;
            let (wire, driver) = made?;
            Ok(Connection { wire, driver: tokio::spawn(driver).abort_handle() })
        })
        .await
    }

    /// Its name, when it is not a socket.
    pub(super) fn host(&self) -> Option<&str> {
        match &self.at {
            At::Tcp { host, .. } => Some(host),
            At::Socket(_) => None,
        }
    }

    /// Logged in already: the server's own words say best why it lets nobody in.
    async fn stream(&self) -> Result<Box<dyn Stream>, LinkError> {
        let mut stream = self.bytes().await?;
        let login = self.login.now().await?;
        let mut hello = Commands::new();
        if let Some(password) = &login.password {
            hello.cmd("AUTH").args(login.user.as_deref()).arg(password.reveal());
        }
        if login.database != 0 {
            hello.cmd("SELECT").arg(login.database);
        }
        let broken = |error: std::io::Error| self.gone(&error);
        stream.write_all(hello.bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        for _ in 0..hello.len() {
            let line = line(&mut stream).await.map_err(broken)?;
            if let Some(why) = line.strip_prefix('-') {
                return Err(LinkError::Refused(format!("{why} ({self})")));
            }
        }
        Ok(stream)
    }

    async fn bytes(&self) -> Result<Box<dyn Stream>, LinkError> {
        let away = |error: std::io::Error| LinkError::Lost(format!("{self}: {error}"));
        let (host, port) = match &self.at {
            At::Tcp { host, port } => (host, *port),
            At::Socket(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(away)?)),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(away)?;
        stream.set_nodelay(true).map_err(away)?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name =
            ServerName::try_from(host.clone()).map_err(|error| LinkError::Refused(format!("{self}: {error}")))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream);
        match tokio::time::timeout(TLS_TIMEOUT, stream).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(LinkError::Lost(format!("{self}: TLS: {error}"))),
            Err(_) => {
                let perhaps = if self.is_stranger() { "; perhaps it speaks none" } else { "" };
                Err(LinkError::Lost(format!("{self}: TLS: no answer in time{perhaps}")))
            }
        }
    }

    /// What to say when it went away at the first words.
    pub(super) fn gone(&self, why: &dyn fmt::Display) -> LinkError {
        let is_bare = self.tls.is_none() && self.host().is_some() && self.is_stranger();
        let perhaps = if is_bare { "; perhaps it speaks TLS only: rediss://" } else { "" };
        LinkError::Lost(format!("{self}: {why}{perhaps}"))
    }

    /// It was heard.
    pub(super) fn replied(&self) {
        self.has_replied.store(true, Ordering::Relaxed);
    }

    /// Nobody there has ever replied: perhaps they are spoken to in the wrong way.
    fn is_stranger(&self) -> bool {
        !self.has_replied.load(Ordering::Relaxed)
    }

    async fn in_time<T>(&self, made: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, made).await {
            Ok(made) => made,
            Err(_) => Err(LinkError::Lost(format!("{self}: no answer in time"))),
        }
    }
}

/// The library has nobody to log in.
fn nobody() -> RedisConnectionInfo {
    // What it would say of itself costs two commands, and a privilege.
    RedisConnectionInfo::default().set_skip_set_lib_name()
}

/// The next line. Nothing follows that was not asked for, so that a byte at a time is read seldom and loses nothing.
async fn line(stream: &mut Box<dyn Stream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if line.len() > LINE_LEN_MAX {
            return Err(std::io::Error::other("it does not speak the protocol of Redis"));
        }
        line.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned())
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            At::Tcp { host, port } => write!(f, "{host}:{port}"),
            At::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the login.
        write!(f, "Client({self})")
    }
}
