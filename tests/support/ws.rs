//! A WebSocket client that reads messages as JSON.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long a message may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One client.
pub(crate) struct Client {
    pub(crate) stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// A client of a session that has read the first message.
    pub(crate) async fn join(address: SocketAddr, id: &str) -> Self {
        let mut client = Self::open(address, &format!("?sessionId={id}")).await;
        assert_eq!(client.next().await["type"], "CONNECTED");
        client
    }

    /// A client that has only shaken hands.
    pub(crate) async fn open(address: SocketAddr, query: &str) -> Self {
        let (stream, _) = connect_async(format!("ws://{address}/ws{query}")).await.expect("the server shakes hands");
        Self { stream }
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.stream.send(Message::text(message.to_string())).await.expect("the server reads");
    }

    /// The next message; answers heartbeats on the way.
    pub(crate) async fn next(&mut self) -> Value {
        match self.receive().await {
            Message::Text(text) => serde_json::from_str(&text).expect("messages are JSON"),
            other => panic!("not a message: {other:?}"),
        }
    }

    /// The next message of a type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The close frame that must come next.
    pub(crate) async fn closed(&mut self) -> CloseFrame {
        match self.receive().await {
            Message::Close(Some(frame)) => frame,
            other => panic!("not a close: {other:?}"),
        }
    }

    async fn receive(&mut self) -> Message {
        loop {
            let next = timeout(PATIENCE, self.stream.next()).await.expect("the server says something");
            match next.expect("the server has not gone").expect("the stream is whole") {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }
}
