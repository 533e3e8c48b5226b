//! A cheap keep-alive HTTP connection: requests are prepared as bytes, and only the status and the length of a response's head
//! are read. Does not know what is requested.

use std::io;
use std::net::SocketAddr;

use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::credential;
use super::failure::{Failure, Result};
use super::scan;

/// A keep-alive connection.
pub(crate) struct Client {
    tcp: TcpStream,
    read: Vec<u8>,
}

/// A response, borrowed from the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Response<'_> {
    /// A failure: this response is wrong.
    pub(crate) fn wrong(&self, why: impl std::fmt::Display) -> Failure {
        Failure::wrong(format_args!("{why}; came {}", self.status), self.body)
    }
}

impl Client {
    /// Opens a connection.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    /// Over a TCP connection that is there.
    pub(crate) fn over(tcp: TcpStream) -> Result<Self> {
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, read: Vec::with_capacity(16_384) })
    }

    /// Sends a request and reads its response.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Response<'_>> {
        self.tcp.write_all(request).await?;
        self.read.clear();
        let head = loop {
            self.fill().await?;
            if let Some(head) = Head::read(&self.read)? {
                break head;
            }
        };
        let end = head.len + head.body_len;
        while self.read.len() < end {
            self.fill().await?;
        }
        if self.read.len() > end {
            return Err(Failure::wrong("more came than the response", &self.read));
        }
        Ok(Response { status: head.status, body: &self.read[head.len..] })
    }

    async fn fill(&mut self) -> Result<()> {
        match self.tcp.read_buf(&mut self.read).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed a connection").into()),
            _ => Ok(()),
        }
    }
}

/// A request as bytes, with the run's credential.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let len = if method == "GET" { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let authorization = credential::header();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}{len}\r\n{body}").into_bytes()
}

/// The head of a response, as far as it is read.
struct Head {
    status: u16,
    len: usize,
    body_len: usize,
}

impl Head {
    /// `None` when it is incomplete.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        const LENGTH: &[u8] = b"content-length:";
        let wrong = || Failure::wrong("not the head of a response", bytes);
        let mut body_len = None;
        let mut start = 0;
        while let Some(len) = memchr(b'\n', &bytes[start..]) {
            let line = &bytes[start..start + len];
            if start > 0 && line.len() <= 1 {
                let status = bytes.get(9..12).and_then(scan::number).ok_or_else(wrong)? as u16;
                // A response without a length has no body when its status says so; others are not read.
                let body_len = body_len.or((status == 204).then_some(0)).ok_or_else(wrong)?;
                return Ok(Some(Self { status, len: start + len + 1, body_len }));
            }
            if line.len() > LENGTH.len() && line[..LENGTH.len()].eq_ignore_ascii_case(LENGTH) {
                let value = line[LENGTH.len()..].trim_ascii_start();
                body_len = Some(scan::number(value).ok_or_else(wrong)? as usize);
            }
            start += len + 1;
        }
        Ok(None)
    }
}
