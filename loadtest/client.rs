//! One keep-alive connection that costs little: requests are bytes made beforehand, and of an answer only
//! the status and the length are looked at.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection.
pub(crate) struct Client {
    tcp: TcpStream,
    read: Vec<u8>,
    /// Where the answer's body starts in `read`.
    body: usize,
}

impl Client {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, read: Vec::with_capacity(16_384), body: 0 })
    }

    /// Sends a request and returns the status and the body of its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.tcp.write_all(request).await?;
        self.read.clear();
        let (status, len) = loop {
            self.fill().await?;
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                self.body = end + 4;
                break head(&self.read[..end])?;
            }
        };
        while self.read.len() < self.body + len {
            self.fill().await?;
        }
        Ok((status, &self.read[self.body..]))
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.tcp.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// A request as bytes.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let len = if method == "GET" { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nhost: loadtest\r\n{len}\r\n{body}").into_bytes()
}

/// The number behind the last `name` in some JSON.
pub(crate) fn number(json: &[u8], name: &[u8]) -> Option<u64> {
    let start = json.windows(name.len()).rposition(|window| window == name)? + name.len();
    let digits = json[start..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn head(head: &[u8]) -> io::Result<(u16, usize)> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, String::from_utf8_lossy(head).into_owned());
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).ok_or_else(wrong)?;
    let len = find(head, b"content-length: ").ok_or_else(wrong)? + 16;
    let digits = head[len..].iter().take_while(|byte| byte.is_ascii_digit());
    Ok((status, digits.fold(0, |len, digit| len * 10 + usize::from(digit - b'0'))))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
