//! A connection that is told what is published: by Redis to everybody, or in a Cluster by the server that keeps the
//! keys to those who ask there (sharded Pub/Sub). Does not know what is published.

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{Msg, PushInfo, PushKind};
use tokio::sync::mpsc;

use super::client::{Client, Connection};
use super::link::LinkError;
use super::server::Place;

/// How long a subscription may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A change of what is heard, on its way.
pub type PendingSubscribe = Pin<Box<dyn Future<Output = Result<(), LinkError>> + Send>>;

/// A connection of one's own.
pub struct Subscriber {
    lines: Lines,
    place: Place,
}

enum Lines {
    Plain(PubSubSink, PubSubStream),
    Sharded(Connection, mpsc::UnboundedReceiver<PushInfo>),
}

impl Subscriber {
    pub(super) async fn connect(client: &Client, place: Place) -> Result<Self, LinkError> {
        let lines = if place.is_of_cluster() { sharded(client).await } else { plain(client).await };
        Ok(Self { lines: lines?, place })
    }

    /// Whether it leads to the right server, as far as is known.
    pub fn is_current(&self) -> bool {
        self.place.is_current()
    }

    /// Hears what is published on these channels from when this has come to its end, all in one round trip; what is
    /// published on others can be heard meanwhile.
    pub fn subscribe(&self, channels: Vec<String>) -> PendingSubscribe {
        match &self.lines {
            Lines::Plain(sink, _) => {
                let mut sink = sink.clone();
                Box::pin(async move { in_time(sink.subscribe(&channels)).await })
            }
            Lines::Sharded(connection, _) => {
                let mut wire = connection.wire.clone();
                Box::pin(async move { in_time(each(&mut wire, "SSUBSCRIBE", &channels)).await })
            }
        }
    }

    /// Does not any more.
    pub fn unsubscribe(&self, channels: Vec<String>) -> PendingSubscribe {
        match &self.lines {
            Lines::Plain(sink, _) => {
                let mut sink = sink.clone();
                Box::pin(async move { in_time(sink.unsubscribe(&channels)).await })
            }
            Lines::Sharded(connection, _) => {
                let mut wire = connection.wire.clone();
                Box::pin(async move { in_time(each(&mut wire, "SUNSUBSCRIBE", &channels)).await })
            }
        }
    }

    /// What is published next; `None` when the connection was closed.
    pub async fn next(&mut self) -> Option<Msg> {
        match &mut self.lines {
            Lines::Plain(_, stream) => stream.next().await,
            Lines::Sharded(_, pushed) => loop {
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

async fn plain(client: &Client) -> Result<Lines, LinkError> {
    let (sink, stream) = client.subscribe().await?.split();
    Ok(Lines::Plain(sink, stream))
}

async fn sharded(client: &Client) -> Result<Lines, LinkError> {
    // Nothing else bounds it: Redis ends a connection whose reader is too slow, and this one only passes on.
    let (push, pushed) = mpsc::unbounded_channel();
    Ok(Lines::Sharded(client.subscribe_sharded(push).await?, pushed))
}

/// A command for each channel, since each is answered by itself.
async fn each(connection: &mut MultiplexedConnection, command: &str, channels: &[String]) -> redis::RedisResult<()> {
    let mut commands = redis::pipe();
    for channel in channels {
        commands.cmd(command).arg(channel);
    }
    commands.exec_async(connection).await
}

async fn in_time<T>(asked: impl Future<Output = redis::RedisResult<T>>) -> Result<T, LinkError> {
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(LinkError::Lost("no answer to a subscription".to_owned())),
    }
}
