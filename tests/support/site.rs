//! A site with one page that does nothing, for scripts of tests to run in: a page of some origin.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PAGE: &str = "<!doctype html><title>a page</title>";

/// A site that ends with the test.
pub struct Site {
    port: u16,
    served: JoinHandle<()>,
}

impl Site {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let served = tokio::spawn(async move {
            loop {
                let Ok((mut tcp, _)) = listener.accept().await else { continue };
                let mut head = [0; 4_096];
                let _ = tcp.read(&mut head).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{PAGE}",
                    PAGE.len()
                );
                let _ = tcp.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, served }
    }

    /// Its origin by a name of this machine.
    pub fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.served.abort();
    }
}
