//! The WebSocket library's side of a connection: messages are read through it, and it answers pings and closes. Knows how a
//! connection ends; does not know what is said on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::line::Stream;
use super::outbox::Outbox;

/// The longest message of a client, in bytes.
const MESSAGE_LEN_MAX: usize = 16 * 1_024;
/// What is read at once, in bytes; allocated for every connection.
const READ_LEN: usize = 1_024;
/// Answers to pings that may wait, in bytes.
const WRITE_LEN_MAX: usize = 4 * 1_024;
/// How long a client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a connection ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The client closed it or is gone.
    Gone,
    /// The server closes it, and says why.
    Close(CloseCode, &'static str),
}

pub(super) const TOO_SLOW: Ending = Ending::Close(CloseCode::Again, "Too slow");
pub(super) const TRY_AGAIN: Ending = Ending::Close(CloseCode::Again, "Try again later");
pub(super) const SHUTTING_DOWN: Ending = Ending::Close(CloseCode::Away, "Server shutting down");
pub(super) const DELETED: Ending = Ending::Close(CloseCode::Normal, "Session deleted");
pub(super) const INTERRUPTED: Ending = Ending::Close(CloseCode::Again, "Updates are interrupted");

impl Ending {
    /// The client asked for what cannot be.
    pub(super) fn refused(why: &'static str) -> Self {
        Self::Close(CloseCode::Policy, why)
    }
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => Ending::Close(CloseCode::Size, "Message too big"),
            Error::Protocol(_) | Error::AttackAttempt => Ending::Close(CloseCode::Protocol, "Protocol error"),
            Error::Utf8(_) => Ending::Close(CloseCode::Invalid, "Text must be UTF-8"),
            Error::WriteBufferFull(_) => TOO_SLOW,
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
            | Error::Tls(_)
            | Error::Url(_)
            | Error::Http(_)
            | Error::HttpFormat(_) => Ending::Gone,
        }
    }
}

/// What messages are read from.
pub(super) struct Socket(WebSocketStream<Stream<Outbox>>);

impl Socket {
    /// A client that has shaken hands, and has sent `read` already.
    pub(super) async fn new(tcp: TcpStream, read: Bytes, outbox: &Arc<Outbox>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_LEN)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_LEN_MAX)
            .max_message_size(Some(MESSAGE_LEN_MAX))
            .max_frame_size(Some(MESSAGE_LEN_MAX));
        let stream = Stream::shared(tcp, Arc::clone(outbox));
        Self(WebSocketStream::from_partially_read(stream, read.into(), Role::Server, Some(config)).await)
    }

    /// The client's next message.
    pub(super) async fn next(&mut self) -> Result<Message, Ending> {
        self.0.next().await.ok_or(Ending::Gone)?.map_err(Ending::from)
    }

    /// Ends the connection as it must, and gives the socket back.
    pub(super) async fn end(mut self, ending: Ending) -> TcpStream {
        if let Ending::Close(code, reason) = ending {
            self.close(code, reason).await;
        }
        self.0.into_inner().into_inner()
    }

    /// Says why, then waits a little for the client to agree.
    async fn close(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let closing = async {
            self.0.send(Message::Close(Some(frame))).await?;
            while let Some(message) = self.0.next().await {
                message?;
            }
            Ok::<_, Error>(())
        };
        // However it ends, the socket goes.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}
