//! A WebSocket that costs little: what comes is searched, not parsed.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client that watches one session.
pub(crate) struct Socket {
    tcp: TcpStream,
    read: Vec<u8>,
}

impl Socket {
    /// Opens it and waits for its first message.
    pub(crate) async fn open(address: SocketAddr, id: &str) -> io::Result<Self> {
        let mut tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let handshake = format!(
            "GET /ws?sessionId={id} HTTP/1.1\r\nhost: loadtest\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tcp.write_all(handshake.as_bytes()).await?;
        let mut socket = Self { tcp, read: Vec::new() };
        socket.until(b"\"CONNECTED\"").await?;
        Ok(socket)
    }

    /// Reads until `what` has come; forgets everything before.
    pub(crate) async fn until(&mut self, what: &[u8]) -> io::Result<()> {
        loop {
            if let Some(at) = self.read.windows(what.len()).position(|window| window == what) {
                self.read.drain(..at + what.len());
                return Ok(());
            }
            if self.tcp.read_buf(&mut self.read).await? == 0 {
                return Err(io::Error::other("the server closed a WebSocket"));
            }
        }
    }
}
