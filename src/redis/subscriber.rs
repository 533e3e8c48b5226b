//! A Pub/Sub connection: to any server, or in a Cluster to the node that keeps the keys (sharded Pub/Sub). Does not
//! know what is published.

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{Msg, PushInfo, PushKind};
use tokio::sync::mpsc;

use crate::redis::endpoints::endpoint::{PushConnection, RedisEndpoint};
use crate::redis::routing::route::KeyRoute;
use crate::runtime::time;

use super::error::RedisError;

/// How long Redis may take to confirm a subscription.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A SUBSCRIBE or UNSUBSCRIBE that is not confirmed yet.
pub type PendingSubscribe = Pin<Box<dyn Future<Output = Result<(), RedisError>> + Send>>;

/// An exclusive Pub/Sub connection.
pub struct Subscriber {
    transport: PubSubTransport,
    route: KeyRoute,
}

enum PubSubTransport {
    Plain(PubSubSink, PubSubStream),
    Sharded(PushConnection, mpsc::UnboundedReceiver<PushInfo>),
}

impl Subscriber {
    pub(super) async fn connect(endpoint: &RedisEndpoint, route: KeyRoute) -> Result<Self, RedisError> {
        let transport = if route.is_of_cluster() { sharded(endpoint).await } else { plain(endpoint).await };
        Ok(Self { transport: transport?, route })
    }

    /// Whether its server still answers for the keys, as far as is known.
    pub fn is_current(&self) -> bool {
        self.route.is_current()
    }

    /// Subscribes to channels in one round trip; messages on them come once the future is done. Messages on other
    /// channels can be received meanwhile.
    pub fn subscribe(&self, channels: Vec<String>) -> PendingSubscribe {
        match &self.transport {
            PubSubTransport::Plain(sink, _) => {
                let mut sink = sink.clone();
                Box::pin(async move { in_time(sink.subscribe(&channels)).await })
            }
            PubSubTransport::Sharded(connection, _) => {
                let mut client = connection.client.clone();
                Box::pin(async move { in_time(each(&mut client, "SSUBSCRIBE", &channels)).await })
            }
        }
    }

    /// Unsubscribes from channels.
    pub fn unsubscribe(&self, channels: Vec<String>) -> PendingSubscribe {
        match &self.transport {
            PubSubTransport::Plain(sink, _) => {
                let mut sink = sink.clone();
                Box::pin(async move { in_time(sink.unsubscribe(&channels)).await })
            }
            PubSubTransport::Sharded(connection, _) => {
                let mut client = connection.client.clone();
                Box::pin(async move { in_time(each(&mut client, "SUNSUBSCRIBE", &channels)).await })
            }
        }
    }

    /// The next message; `None` when the connection was closed.
    pub async fn next(&mut self) -> Option<Msg> {
        match &mut self.transport {
            PubSubTransport::Plain(_, stream) => stream.next().await,
            PubSubTransport::Sharded(_, pushed) => loop {
                let push = pushed.recv().await?;
                if push.kind == PushKind::Disconnection {
                    return None;
                }
                if let Some(message) = Msg::from_push_info(push) {
                    return Some(message);
                }
            },
        }
    }
}

async fn plain(endpoint: &RedisEndpoint) -> Result<PubSubTransport, RedisError> {
    let (sink, stream) = endpoint.subscribe().await?.split();
    Ok(PubSubTransport::Plain(sink, stream))
}

async fn sharded(endpoint: &RedisEndpoint) -> Result<PubSubTransport, RedisError> {
    // Redis bounds it: the server closes the connection of a slow reader, and this one only forwards.
    let (push, pushed) = mpsc::unbounded_channel();
    Ok(PubSubTransport::Sharded(endpoint.subscribe_sharded(push).await?, pushed))
}

/// One command per channel, since Redis replies to each channel by itself.
async fn each(connection: &mut MultiplexedConnection, command: &str, channels: &[String]) -> redis::RedisResult<()> {
    let mut commands = redis::pipe();
    for channel in channels {
        commands.cmd(command).arg(channel);
    }
    commands.exec_async(connection).await
}

async fn in_time<T>(asked: impl Future<Output = redis::RedisResult<T>>) -> Result<T, RedisError> {
    match time::timeout(TIMEOUT, asked).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(RedisError::Io("no answer to a subscription".to_owned())),
    }
}
