//! An issuer of tokens: serves one answer to whoever asks, over HTTP or TLS, and counts how often. Does not know what it serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::Certificate;

/// An issuer that ends with the test.
pub struct Issuer {
    pub address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    answer: Mutex<Vec<u8>>,
    asked: AtomicUsize,
    is_silent: watch::Sender<bool>,
}

impl Issuer {
    /// One that serves `answer`, at a free port of this machine.
    pub async fn start(answer: &str) -> Self {
        Self::serve("127.0.0.1:0", answer, None).await
    }

    /// The same at an address of the test's own.
    pub async fn start_at(address: SocketAddr, answer: &str) -> Self {
        Self::serve(&address.to_string(), answer, None).await
    }

    /// The same over TLS.
    pub async fn encrypted(answer: &str, certificate: &Certificate) -> Self {
        let chain = CertificateDer::pem_slice_iter(certificate.pem.as_bytes()).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("it is a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("there are some").with_no_client_auth();
        let config = config.with_single_cert(chain.expect("they are certificates"), key).expect("they fit");
        Self::serve("127.0.0.1:0", answer, Some(Arc::new(config).into())).await
    }

    async fn serve(at: &str, answer: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(at).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let answer = Mutex::new(answer.as_bytes().to_vec());
        let shared = Arc::new(Shared { answer, asked: AtomicUsize::new(0), is_silent: watch::Sender::new(false) });
        let (mut tasks, scheme) = (JoinSet::new(), if tls.is_some() { "https" } else { "http" });
        let serving = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (serving, tls) = (Arc::clone(&serving), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serving.answer(tcp).await,
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(stream) => serving.answer(stream).await,
                            Err(_) => drop(serving.asked.fetch_add(1, Ordering::SeqCst)),
                        },
                    }
                });
            }
        });
        Self { address, scheme, shared, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("{}://{}/jwks.json", self.scheme, self.address)
    }

    /// What it says from now on.
    pub fn says(&self, answer: &str) {
        *self.shared.answer.lock() = answer.as_bytes().to_vec();
    }

    /// Whether it takes questions and answers none; later it says what it would have said then.
    pub fn is_silent(&self, is_silent: bool) {
        self.shared.is_silent.send_replace(is_silent);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let answer = self.answer.lock().clone();
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _ = self.is_silent.subscribe().wait_for(|is_silent| !is_silent).await;
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    }
}

/// An answer with a set of keys.
pub fn set(keys: &[Value]) -> String {
    said("", &serde_json::json!({ "keys": keys }).to_string())
}

/// An answer with such further headers, each with its line end, and such a body.
pub fn said(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
