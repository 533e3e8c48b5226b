//! Connections to a Redis server: how they are made, which run of the server they lead to, and what can go
//! wrong on them. A connection is owned by one task, since WATCH belongs to a connection. Does not know
//! commands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, RedisError, Value};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A server, by its address.
#[derive(Clone, Debug)]
pub struct Server {
    client: Client,
    reply_timeout: Duration,
}

/// A connection of one's own.
pub struct Link {
    connection: MultiplexedConnection,
    run_id: Arc<str>,
}

/// Why a connection did not do what it was asked. It is not to be used again, unless the server refused.
#[derive(Debug)]
pub enum LinkError {
    /// It is lost, or took too long.
    Lost(String),
    /// The server refused a command.
    Refused(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Lost(why) => write!(f, "the connection to Redis is lost: {why}"),
            LinkError::Refused(why) => write!(f, "Redis refused: {why}"),
        }
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() {
            LinkError::Lost(error.to_string())
        } else {
            LinkError::Refused(error.to_string())
        }
    }
}

impl Server {
    /// The server at a URL, such as `redis://127.0.0.1:6379/0`; `Err` says what is wrong with it.
    pub fn parse(url: &str, reply_timeout: Duration) -> Result<Self, String> {
        let info = url.into_connection_info().map_err(|error| error.to_string())?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(|error| error.to_string())?;
        Ok(Self { client, reply_timeout })
    }

    /// A connection that nobody else uses.
    pub async fn connect(&self) -> Result<Link, LinkError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.reply_timeout));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default();
        Ok(Link { connection, run_id: run_id.into() })
    }

    /// A connection that is told what is published.
    pub async fn subscribe(&self) -> Result<PubSub, LinkError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub()).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(LinkError::Lost("no connection in time".to_owned())),
        }
    }
}

impl Link {
    /// The run of the server that this leads to: another one may have forgotten what was acknowledged.
    pub fn run_id(&self) -> &Arc<str> {
        &self.run_id
    }

    /// Sends commands in one go and returns a reply for each; a refusal of one is its reply.
    pub async fn ask(&mut self, commands: &Pipeline) -> Result<Vec<Value>, LinkError> {
        let replies = self.connection.send_packed_commands(commands, 0, commands.len()).await?;
        if replies.len() != commands.len() {
            return Err(LinkError::Lost(format!("{} replies to {} commands", replies.len(), commands.len())));
        }
        Ok(replies)
    }
}

/// Why the server refused a command, if that is its reply.
pub fn refusal(reply: &Value) -> Option<String> {
    if let Value::ServerError(error) = reply { Some(error.to_string()) } else { None }
}
