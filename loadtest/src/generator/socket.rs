//! A cheap WebSocket client: it finds frames without copying them, and answers heartbeats. Does not know what messages say.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::credential;
use super::failure::{Failure, Result};
use super::scan;

/// The least room for a read, in bytes: a small session's update.
const READ_LEN_MIN: usize = 2_048;
/// The response to the key of [`Socket::open`] (RFC 6455, section 1.3).
const ACCEPTED: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client that watches one session.
pub(crate) struct Socket {
    tcp: TcpStream,
    read: Vec<u8>,
    /// Where the next frame begins in `read`.
    next: usize,
}

/// A frame of the server's: what it is, and where its payload lies.
struct Frame {
    opcode: u8,
    payload: std::ops::Range<usize>,
}

impl Socket {
    /// Connects, upgrades and waits for the first message.
    pub(crate) async fn open(address: SocketAddr, id: &str) -> Result<Self> {
        let mut tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let handshake = format!(
            "GET /ws?sessionId={id} HTTP/1.1\r\nhost: localhost\r\n{}connection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            credential::header()
        );
        tcp.write_all(handshake.as_bytes()).await?;
        let mut socket = Self { tcp, read: Vec::new(), next: 0 };
        let end = loop {
            socket.fill().await?;
            if let Some(end) = scan::find(&socket.read, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = &socket.read[..end];
        if !head.starts_with(b"HTTP/1.1 101 ") || scan::find(head, ACCEPTED).is_none() {
            return Err(Failure::wrong("the server does not shake hands", head));
        }
        socket.next = end;
        let first = socket.message().await?;
        if kind(first) != Some("CONNECTED") {
            return Err(Failure::wrong("the first message is not CONNECTED", first));
        }
        Ok(socket)
    }

    /// Sends a frame as it is.
    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<()> {
        Ok(self.tcp.write_all(frame).await?)
    }

    /// The next message, which must come.
    pub(crate) async fn message(&mut self) -> Result<&[u8]> {
        match self.next_message().await? {
            Some(payload) => Ok(&self.read[payload]),
            None => Err(Failure::broken("the server closed a WebSocket")),
        }
    }

    /// The next message; `None` when the server closes in order.
    pub(crate) async fn message_or_end(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.next_message().await?.map(|payload| &self.read[payload]))
    }

    async fn next_message(&mut self) -> Result<Option<std::ops::Range<usize>>> {
        loop {
            let Frame { opcode, payload } = self.frame().await?;
            match opcode {
                TEXT => return Ok(Some(payload)),
                CLOSE => {
                    let said = self.read[payload].to_vec();
                    let code = said.first_chunk().map_or(1_005, |code| u16::from_be_bytes(*code));
                    // The other side may be gone already.
                    let _ = self.tcp.write_all(&frame(CLOSE, &said)).await;
                    let reason = String::from_utf8_lossy(said.get(2..).unwrap_or_default());
                    let kind = match code {
                        1_000 => return Ok(None),
                        // Come back later.
                        1_013 => io::ErrorKind::ResourceBusy,
                        _ => io::ErrorKind::Other,
                    };
                    let text = format!("the server closed a WebSocket with {code} {reason}");
                    return Err(io::Error::new(kind, text).into());
                }
                PING => {
                    let pong = frame(PONG, &self.read[payload]);
                    self.tcp.write_all(&pong).await?;
                }
                PONG => {}
                _ => return Err(Failure::wrong(format_args!("a frame with opcode {opcode}"), &self.read[payload])),
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame> {
        loop {
            if let Some((frame, end)) = Frame::read(&self.read, self.next)? {
                self.next = end;
                return Ok(frame);
            }
            if self.next > 0 {
                self.read.drain(..self.next);
                self.next = 0;
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        self.read.reserve(READ_LEN_MIN);
        match self.tcp.read_buf(&mut self.read).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server dropped a WebSocket").into()),
            _ => Ok(()),
        }
    }
}

impl Frame {
    /// The frame that begins at `start` and where it ends; `None` when it is incomplete.
    fn read(bytes: &[u8], start: usize) -> Result<Option<(Self, usize)>> {
        const FIN: u8 = 0x80;
        let Some(&[first, second]) = bytes[start..].first_chunk() else { return Ok(None) };
        if first & 0xf0 != FIN || second > 127 {
            return Err(Failure::wrong("not a whole message without extensions and masks", &bytes[start..]));
        }
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
        let (head_len, len) = match second {
            126 => (4, bytes.get(start + 2..start + 4).map(big_endian)),
            127 => (10, bytes.get(start + 2..start + 10).map(big_endian)),
            len => (2, Some(usize::from(len))),
        };
        let Some(len) = len else { return Ok(None) };
        let payload = start + head_len..start + head_len + len;
        let end = payload.end;
        Ok((end <= bytes.len()).then_some((Self { opcode: first & 0x0f, payload }, end)))
    }
}

/// A text message as a client sends it.
pub(crate) fn text(message: &str) -> Vec<u8> {
    frame(TEXT, message.as_bytes())
}

/// The type of a message.
pub(crate) fn kind(message: &[u8]) -> Option<&str> {
    scan::text(scan::after(&message[..message.len().min(64)], b"\"type\":\"")?)
}

/// The session that a message is about.
pub(crate) fn session(message: &[u8]) -> Option<&str> {
    scan::text(scan::after(&message[..message.len().min(160)], b"\"sessionId\":\"")?)
}

/// A client's frame. The mask of zeros leaves the payload as it is.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const FIN: u8 = 0x80;
    const MASKED: u8 = 0x80;
    let mut frame = vec![FIN | opcode];
    match payload.len() {
        len @ 0..=125 => frame.push(MASKED | len as u8),
        len => {
            frame.push(MASKED | 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
