//! A WebSocket client made of bytes: it can break every rule of RFC 6455, and not read.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a frame may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is read at once, in bytes.
const READ_LEN: usize = 16_384;
/// The last frame of a message, and what it is.
pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A client's frame: `first` is FIN and the reserved bits with the opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let mut frame = head(first, payload.len() as u64);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// How a client's frame begins that has `len` bytes, up to its mask.
pub fn head(first: u8, len: u64) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut head = vec![first];
    match len {
        0..=125 => head.push(MASKED | len as u8),
        126..=0xffff => {
            head.push(MASKED | 126);
            head.extend((len as u16).to_be_bytes());
        }
        _ => {
            head.push(MASKED | 127);
            head.extend(len.to_be_bytes());
        }
    }
    head
}

/// A whole text message in one frame.
pub fn text(message: &str) -> Vec<u8> {
    frame(FIN | TEXT, message.as_bytes())
}

/// The handshake of a client that asks for a session.
pub fn handshake(id: &str) -> String {
    format!(
        "GET /ws?sessionId={id} HTTP/1.1\r\nhost: test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// One connection that has shaken hands.
pub struct Frames {
    pub tcp: TcpStream,
    /// How long it takes over each [`READ_LEN`] bytes.
    pub pause: Duration,
    read: Vec<u8>,
}

impl Frames {
    pub async fn open(address: SocketAddr, id: &str) -> Self {
        Self::open_with(address, id, &[]).await
    }

    /// A client that sends `behind` together with its handshake, and keeps little of what it does not read.
    pub async fn open_with(address: SocketAddr, id: &str, behind: &[u8]) -> Self {
        let socket = TcpSocket::new_v4().expect("there are sockets");
        socket.set_recv_buffer_size(65_536).expect("a size that can be had");
        let tcp = socket.connect(address).await.expect("the server listens");
        let mut frames = Self { tcp, pause: Duration::ZERO, read: Vec::new() };
        frames.send(&[handshake(id).as_bytes(), behind].concat()).await;
        let end = loop {
            if let Some(end) = frames.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(frames.fill().await, "the server closed: {:?}", String::from_utf8_lossy(&frames.read));
        };
        let head = String::from_utf8(frames.read.drain(..end + 4).collect()).expect("a head is ASCII");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455, section 1.3: {head}");
        frames
    }

    /// Sends bytes as they are; a server that has closed does not mind.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.tcp.write_all(bytes)).await.expect("the server reads");
    }

    /// The opcode and payload of the server's next frame; `None` when it has closed the connection.
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        while self.read.len() < 2 {
            if !self.fill().await {
                return None;
            }
        }
        assert_eq!(self.read[0] & 0xf0, FIN, "servers send whole messages without extensions");
        let (skip, len) = match self.read[1] {
            126 => (4, self.number(2, 2).await?),
            127 => (10, self.number(2, 8).await?),
            len => (2, usize::from(len)),
        };
        while self.read.len() < skip + len {
            if !self.fill().await {
                return None;
            }
        }
        let opcode = self.read[0] & 0x0f;
        let frame: Vec<u8> = self.read.drain(..skip + len).collect();
        Some((opcode, frame[skip..].to_vec()))
    }

    /// The next message; pings are passed over and not answered.
    pub async fn message(&mut self) -> Value {
        loop {
            match self.next().await.expect("the server has not gone") {
                (TEXT, payload) => return serde_json::from_slice(&payload).expect("messages are JSON"),
                (PING, _) => {}
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    /// The code and reason of the server's close, after whatever else it says; `None` when it goes without.
    pub async fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            if let (CLOSE, payload) = self.next().await? {
                let (code, reason) = payload.split_at(2);
                let code = u16::from_be_bytes([code[0], code[1]]);
                return Some((code, String::from_utf8(reason.to_vec()).expect("a reason is UTF-8")));
            }
        }
    }

    async fn number(&mut self, from: usize, len: usize) -> Option<usize> {
        while self.read.len() < from + len {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.read[from..from + len].iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    async fn fill(&mut self) -> bool {
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        self.read.reserve(READ_LEN);
        let mut piece = (&mut self.tcp).take(READ_LEN as u64);
        timeout(PATIENCE, piece.read_buf(&mut self.read)).await.expect("the server says something").unwrap_or(0) > 0
    }
}
