//! A WebSocket client that reads messages as JSON.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::planted;

/// How long a message may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One client.
pub struct Client {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// A client of a session that has read the first message.
    pub async fn join(address: SocketAddr, id: &str) -> Self {
        let mut client = Self::open(address, &format!("?sessionId={id}")).await;
        assert_eq!(client.next().await["type"], "CONNECTED");
        client
    }

    /// A client that has only shaken hands.
    pub async fn open(address: SocketAddr, query: &str) -> Self {
        let (stream, _) = connect_async(format!("ws://{address}/ws{query}")).await.expect("the server shakes hands");
        Self { stream }
    }

    /// A client that has shaken hands with headers of the test's own.
    pub async fn open_with(address: SocketAddr, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = format!("ws://{address}/ws{query}").into_client_request().expect("it is a URL");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("it can stand in a header"));
        }
        let (stream, _) = connect_async(request).await.expect("the server shakes hands");
        Self { stream }
    }

    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    /// Sends a message as it is.
    pub async fn send(&mut self, message: Message) {
        self.stream.send(message).await.expect("the server reads");
    }

    /// Asks for a change and waits for its result; other messages are passed over.
    pub async fn order(&mut self, command: Value) -> Value {
        self.say(command).await;
        self.next_of("RESULT").await
    }

    /// The next message; answers heartbeats on the way.
    pub async fn next(&mut self) -> Value {
        serde_json::from_str(&self.text().await).expect("messages are JSON")
    }

    /// The next message as it was written.
    pub async fn text(&mut self) -> String {
        match self.receive().await {
            Message::Text(text) => text.to_string(),
            other => panic!("not a message: {other:?}"),
        }
    }

    /// The next message of a type; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The close frame that must come next.
    pub async fn closed(&mut self) -> CloseFrame {
        match self.receive().await {
            Message::Close(Some(frame)) => frame,
            other => panic!("not a close: {other:?}"),
        }
    }

    /// The next message or close.
    pub async fn receive(&mut self) -> Message {
        let next = async {
            loop {
                match self.stream.next().await.expect("the server has not gone").expect("the stream is whole") {
                    Message::Ping(_) | Message::Pong(_) => {}
                    Message::Text(text) => {
                        planted::search(&text);
                        return Message::Text(text);
                    }
                    message => return message,
                }
            }
        };
        timeout(PATIENCE, next).await.expect("the server says something")
    }
}
