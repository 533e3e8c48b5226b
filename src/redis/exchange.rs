//! Bytes to and from a server: commands go out in one piece, and as many replies are waited for. Not the library's
//! connection: that one has a task of its own, so that each answer waits for two tasks to be scheduled, twice in each
//! change. Does not know what is asked.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::commands::Commands;
use super::link::LinkError;
use super::reply::{Garbled, Reply, Seeker};

/// What is read at once at least.
const READ_MIN: usize = 16 * 1_024;
/// How long a buffer may be that is kept for the next replies.
const KEPT_LEN_MAX: usize = 1 << 20;
/// Replies that may come at once: far more than any of ours, and a bound for what is none.
const REPLIES_LEN_MAX: usize = 1 << 30;

/// Bytes to and from a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection of one's own.
pub(super) struct Exchange {
    stream: Box<dyn Stream>,
    received: BytesMut,
    timeout: Duration,
    /// Every reply was heard so far: else the next one may be to something that was asked before.
    is_whole: bool,
}

impl Exchange {
    /// On a stream, where all replies must have come in time.
    pub(super) fn new(stream: Box<dyn Stream>, timeout: Duration) -> Self {
        Self { stream, received: BytesMut::new(), timeout, is_whole: true }
    }

    /// Asks, and waits for a reply to each command; a refusal of one is its reply.
    pub(super) async fn ask(&mut self, commands: &Commands) -> Result<Vec<Reply>, LinkError> {
        if !std::mem::replace(&mut self.is_whole, false) {
            return Err(LinkError::Lost("it was left in the middle of something".to_owned()));
        }
        let replies = match tokio::time::timeout(self.timeout, self.exchange(commands)).await {
            Ok(replies) => replies?,
            Err(_) => return Err(LinkError::Lost("no reply in time".to_owned())),
        };
        self.is_whole = true;
        Ok(replies)
    }

    async fn exchange(&mut self, commands: &Commands) -> Result<Vec<Reply>, LinkError> {
        let broken = |error: std::io::Error| LinkError::Lost(error.to_string());
        self.stream.write_all(commands.bytes()).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        let (mut seeker, mut count, mut end) = (Seeker::default(), 0, 0);
        while count < commands.len() {
            match seeker.end(&self.received)? {
                Some(found) => (count, end) = (count + 1, found),
                None if self.received.len() > REPLIES_LEN_MAX => {
                    return Err(LinkError::Lost("its reply is too long".to_owned()));
                }
                None => {
                    self.received.reserve(READ_MIN);
                    if self.stream.read_buf(&mut self.received).await.map_err(broken)? == 0 {
                        return Err(LinkError::Lost("the connection was closed".to_owned()));
                    }
                }
            }
        }
        let mut bytes = self.received.split_to(end).freeze();
        let replies = Reply::take(&mut bytes, count)?;
        // What nobody asked for would be taken for the reply to what is asked next.
        if !self.received.is_empty() {
            return Err(Garbled.into());
        }
        if end > KEPT_LEN_MAX {
            self.received = BytesMut::new();
        }
        Ok(replies)
    }
}

impl From<Garbled> for LinkError {
    fn from(_: Garbled) -> Self {
        LinkError::Lost("it does not speak the protocol of Redis".to_owned())
    }
}
