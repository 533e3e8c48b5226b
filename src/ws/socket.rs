//! The WebSocket library's side of a connection: messages are read through it, and it answers pings and closes. Knows how a
//! connection ends; does not know what messages say.

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

use crate::auth::{AuthError, Denied};

use super::outbox::Outbox;
use super::shared_writer::SharedStream;

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
pub(super) enum CloseReason {
    /// The client closed it or is gone.
    Gone,
    /// The server closes it, and says why.
    Close(CloseCode, &'static str),
}

pub(super) const TOO_SLOW: CloseReason = CloseReason::Close(CloseCode::Again, "Too slow");
pub(super) const TRY_AGAIN: CloseReason = CloseReason::Close(CloseCode::Again, "Try again later");
pub(super) const SHUTTING_DOWN: CloseReason = CloseReason::Close(CloseCode::Away, "Server shutting down");
pub(super) const DELETED: CloseReason = CloseReason::Close(CloseCode::Normal, "Session deleted");
pub(super) const INTERRUPTED: CloseReason = CloseReason::Close(CloseCode::Again, "Updates are interrupted");

/// Get a new token, and come back.
pub(super) const TOKEN_EXPIRED: CloseReason = CloseReason::Close(CloseCode::Library(4401), "Token expired");
pub(super) const TOKEN_REVOKED: CloseReason = CloseReason::Close(CloseCode::Library(4401), "Token revoked");
/// Do not come back with this.
pub(super) const NOT_AUTHENTICATED: CloseReason = CloseReason::Close(CloseCode::Library(4501), "Not authenticated");
pub(super) const FORBIDDEN: CloseReason = CloseReason::Close(CloseCode::Library(4503), "Forbidden");

impl CloseReason {
    /// The client asked for what cannot be.
    pub(super) fn refused(why: &'static str) -> Self {
        Self::Close(CloseCode::Policy, why)
    }
}

impl From<AuthError> for CloseReason {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing | AuthError::Invalid(_) | AuthError::UnknownKey(_) => NOT_AUTHENTICATED,
            AuthError::Expired => TOKEN_EXPIRED,
            AuthError::Revoked => TOKEN_REVOKED,
            AuthError::TooMany | AuthError::Unavailable(_) | AuthError::RevocationsUnknown => TRY_AGAIN,
        }
    }
}

impl From<Denied> for CloseReason {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Revoked => TOKEN_REVOKED,
            Denied::Needs(_) | Denied::MustName | Denied::Nobody => FORBIDDEN,
        }
    }
}

impl From<Error> for CloseReason {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => CloseReason::Close(CloseCode::Size, "Message too big"),
            Error::Protocol(_) | Error::AttackAttempt => CloseReason::Close(CloseCode::Protocol, "Protocol error"),
            Error::Utf8(_) => CloseReason::Close(CloseCode::Invalid, "Text must be UTF-8"),
            Error::WriteBufferFull(_) => TOO_SLOW,
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
            | Error::Tls(_)
            | Error::Url(_)
            | Error::Http(_)
            | Error::HttpFormat(_) => CloseReason::Gone,
        }
    }
}

/// What messages are read from.
pub(super) struct ClientSocket(WebSocketStream<SharedStream<Outbox>>);

impl ClientSocket {
    /// A client that has shaken hands, and has sent `read` already.
    pub(super) async fn new(tcp: TcpStream, read: Bytes, outbox: &Arc<Outbox>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_LEN)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_LEN_MAX)
            .max_message_size(Some(MESSAGE_LEN_MAX))
            .max_frame_size(Some(MESSAGE_LEN_MAX));
        let stream = SharedStream::shared(tcp, Arc::clone(outbox));
        Self(WebSocketStream::from_partially_read(stream, read.into(), Role::Server, Some(config)).await)
    }

    /// The client's next message.
    pub(super) async fn next(&mut self) -> Result<Message, CloseReason> {
        self.0.next().await.ok_or(CloseReason::Gone)?.map_err(CloseReason::from)
    }

    /// Ends the connection as it must, and gives the socket back.
    pub(super) async fn end(mut self, ending: CloseReason) -> TcpStream {
        if let CloseReason::Close(code, reason) = ending {
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
