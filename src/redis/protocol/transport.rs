//! Bytes to and from a server: a pipeline goes out in one write, and as many replies are read. Not the library's
//! connection: that one has a task of its own, so that each reply waits for two tasks to be scheduled, twice in each
//! commit. Does not know what is asked.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::redis::error::RedisError;
use crate::runtime::{ByteStream, time};

use super::pipeline::Pipeline;
use super::resp::{FrameScanner, ProtocolError, Value};

/// Bytes that are read at once, at least.
const READ_MIN: usize = 16 * 1_024;
/// The longest buffer that is reused for the next replies, in bytes.
const REUSED_LEN_MAX: usize = 1 << 20;
/// The longest replies to a pipeline, in bytes: far more than any of ours.
const REPLIES_LEN_MAX: usize = 1 << 30;

/// An exclusive stream of requests and replies.
pub(in crate::redis) struct Transport {
    stream: Box<dyn ByteStream>,
    received: BytesMut,
    timeout: Duration,
    /// Every reply was read so far; otherwise the next one may belong to an earlier request.
    is_in_sync: bool,
}

impl Transport {
    /// A transport on a stream, where all replies must come within `timeout`.
    pub(in crate::redis) fn new(stream: Box<dyn ByteStream>, timeout: Duration) -> Self {
        Self { stream, received: BytesMut::new(), timeout, is_in_sync: true }
    }

    /// Sends a pipeline, and waits for a reply to each command; an error is the reply to a command that was refused.
    pub(in crate::redis) async fn ask(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        if !std::mem::replace(&mut self.is_in_sync, false) {
            return Err(RedisError::Io("it was left in the middle of something".to_owned()));
        }
        let replies = match time::timeout(self.timeout, self.round_trip(commands)).await {
            Ok(replies) => replies?,
            Err(_) => return Err(RedisError::Io("no reply in time".to_owned())),
        };
        self.is_in_sync = true;
        Ok(replies)
    }

    async fn round_trip(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let broken = |error: std::io::Error| RedisError::Io(error.to_string());
        self.stream.write_all(commands.bytes()).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        let (mut scanner, mut count, mut end) = (FrameScanner::default(), 0, 0);
        while count < commands.len() {
            match scanner.end(&self.received)? {
                Some(found) => (count, end) = (count + 1, found),
                None if self.received.len() > REPLIES_LEN_MAX => {
                    return Err(RedisError::Io("its reply is too long".to_owned()));
                }
                None => {
                    self.received.reserve(READ_MIN);
                    if self.stream.read_buf(&mut self.received).await.map_err(broken)? == 0 {
                        return Err(RedisError::Io("the connection was closed".to_owned()));
                    }
                }
            }
        }
        let mut bytes = self.received.split_to(end).freeze();
        let replies = Value::decode(&mut bytes, count)?;
        // A reply without a command would be taken for the reply to the next one.
        if !self.received.is_empty() {
            return Err(ProtocolError.into());
        }
        if end > REUSED_LEN_MAX {
            self.received = BytesMut::new();
        }
        Ok(replies)
    }
}

impl From<ProtocolError> for RedisError {
    fn from(_: ProtocolError) -> Self {
        RedisError::Io("it does not speak the protocol of Redis".to_owned())
    }
}
