//! A small HTTP/1.1 client that can also misbehave: it sends bytes as they are given and reads answers
//! as they come.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::planted;

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Connection {
    pub tcp: TcpStream,
    read: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The session's state, as it was written.
    pub fn state(&self) -> &str {
        let (state, time) =
            self.body.rsplit_once(",\"server_time_ms\":").unwrap_or_else(|| panic!("no state: {self:?}"));
        assert!(time.trim_end_matches('}').bytes().all(|byte| byte.is_ascii_digit()), "{self:?}");
        state.strip_prefix("{\"data\":").unwrap_or_else(|| panic!("no state: {self:?}"))
    }

    /// The error's code; empty when there is no error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("the server listens");
        tcp.set_nodelay(true).expect("the socket is open");
        Self { tcp, read: Vec::new() }
    }

    /// A connection that was made already.
    pub fn over(tcp: TcpStream) -> Self {
        Self { tcp, read: Vec::new() }
    }

    /// A connection to a server that may be gone.
    pub async fn try_open(address: SocketAddr) -> Option<Self> {
        let tcp = TcpStream::connect(address).await.ok()?;
        Some(Self { tcp, read: Vec::new() })
    }

    /// A request without a body; `None` when the server does not answer any more.
    pub async fn try_ask(&mut self, method: &str, path: &str) -> Option<Answer> {
        self.send(format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await;
        self.answer(method == "HEAD").await
    }

    /// A request with a body (empty for none) and its answer.
    pub async fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    /// A request with headers of the test's own.
    pub async fn ask_with(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            request += &format!("content-length: {}\r\n", body.len());
        }
        self.send(format!("{request}\r\n{body}").as_bytes()).await;
        self.answer(method == "HEAD").await.expect("the server answers")
    }

    /// Sends bytes as they are; a server that has closed does not mind.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.tcp.write_all(bytes)).await.expect("the server reads");
    }

    /// The next answer; `None` when the server has closed the connection.
    pub async fn answer(&mut self, to_head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !self.fill().await {
                assert!(self.read.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.read));
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).expect("a head is ASCII");
        planted::search(&head);
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let len = answer.header("content-length").map_or(0, |len| len.parse().expect("a length"));
        if !to_head && status != 304 {
            while self.read.len() < len {
                assert!(self.fill().await, "half a body: {answer:?}");
            }
            answer.body = String::from_utf8(self.read.drain(..len).collect()).expect("a body is UTF-8");
            planted::search(&answer.body);
        }
        Some(answer)
    }

    /// Whether the server closes the connection without another byte.
    pub async fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.fill().await
    }

    /// Whether the server closes the connection without another byte, and not by a reset, which could have
    /// overtaken what it said.
    pub async fn is_closed_in_order(&mut self) -> bool {
        let read = timeout(PATIENCE, self.tcp.read(&mut [0])).await.expect("the server closes in time");
        self.read.is_empty() && matches!(read, Ok(0))
    }

    /// Says that nothing more will be sent; answers can still be read.
    pub async fn finish(&mut self) {
        self.tcp.shutdown().await.expect("the socket is open");
    }

    /// All answers that still come before the server closes the connection.
    pub async fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer(false).await {
            answers.push(answer);
        }
        answers
    }

    /// Everything that the server still says before it closes the connection.
    pub async fn rest(mut self) -> Vec<u8> {
        while self.fill().await {}
        self.read
    }

    async fn fill(&mut self) -> bool {
        self.read.reserve(16_384);
        let len = timeout(PATIENCE, self.tcp.read_buf(&mut self.read))
            .await
            .expect("the server answers in time")
            .unwrap_or(0);
        len > 0
    }
}
