//! A server that asks nobody who they are: by which names, from which pages and through which proxies it is asked.

use test_support::http::Answer;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// As it is by default, on loopback.
async fn open() -> Server {
    Server::start_with(&[("ALLOWED_HOSTS", ""), ("CORS_ORIGIN", "auto")]).await
}

/// A request as it is sent, but for the end of its head.
async fn send(server: &Server, head: &str) -> Answer {
    let mut client = server.connect().await;
    client.send(format!("{head}\r\n\r\n").as_bytes()).await;
    client.answer(false).await.expect("it is answered")
}

#[tokio::test]
async fn it_is_asked_by_the_names_of_this_machine() {
    let server = open().await;
    for (host, is_allowed) in [
        ("localhost", true),
        ("localhost:3000", true),
        ("127.0.0.1", true),
        ("[::1]:3000", true),
        ("evil.com", false),
        ("localhost.evil.com", false),
        ("[::2]", false),
        ("[::ffff:127.0.0.1]", false),
        ("[0:0:0:0:0:0:0:1]", false),
        ("127.1", false),
        ("0.0.0.0", false),
        ("localhost.", false),
        ("localhost, evil.com", false),
    ] {
        for line in ["GET /v1/time", "GET /metrics", "GET /ready", "OPTIONS /v1/time", "GET /nowhere", "GET /ws"] {
            let answer = send(&server, &format!("{line} HTTP/1.1\r\nhost: {host}")).await;
            let is_refused = answer.status == 403 && answer.code() == "HOST_NOT_ALLOWED";
            assert_eq!(is_refused, !is_allowed, "{host} {line}: {answer:?}");
        }
        let health = send(&server, &format!("GET /health HTTP/1.1\r\nhost: {host}")).await;
        assert_eq!(health.status, 200, "{host}: a check says nothing of anybody");
    }
    assert_eq!(send(&server, "GET http://evil.com/v1/time HTTP/1.1\r\nhost: localhost").await.status, 403);
    assert_eq!(send(&server, "GET /v1/time HTTP/1.0").await.status, 403, "it names none");
    let named = Server::start_with(&[("ALLOWED_HOSTS", "clocks.example.org")]).await;
    assert_eq!(send(&named, "GET /v1/time HTTP/1.1\r\nhost: clocks.example.org:80").await.status, 200);
    assert_eq!(send(&named, "GET /v1/time HTTP/1.1\r\nhost: localhost").await.status, 403);
}

#[tokio::test]
async fn foreign_pages_may_not_ask() {
    let server = open().await;
    let mut client = server.connect().await;
    let create = two_players(&id(1), 3_600_000).to_string();
    for (origin, status) in [("https://evil.example", 403), ("null", 403), ("http://localhost.evil.com", 403)] {
        let head = format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\ncontent-type: text/plain\r\n\
             content-length: {}\r\n\r\n{create}",
            create.len()
        );
        let mut client = server.connect().await;
        client.send(head.as_bytes()).await;
        let answer = client.answer(false).await.expect("it is answered");
        assert_eq!((answer.status, &*answer.code()), (status, "ORIGIN_NOT_ALLOWED"), "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    client.send(b"GET /v1/time HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost:8080\r\n\r\n").await;
    let answer = client.answer(false).await.expect("it is answered");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("http://localhost:8080")));

    let upgrade = async |origin: &str| {
        let url = format!("ws://{}/ws?sessionId={}", server.address(), id(1));
        let mut request = url.into_client_request().expect("it is a URL");
        request.headers_mut().insert("origin", origin.parse().expect("it can stand in a header"));
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => 101,
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(upgrade("http://127.0.0.1:5173").await, 101);
    assert_eq!(upgrade("https://evil.example").await, 403);
}

#[tokio::test]
async fn requests_through_a_proxy_are_refused_unless_it_is_said_that_all_is_open() {
    let server = open().await;
    let said = Server::start_with(&[("AUTH", "off")]).await;
    for header in [
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: example.org",
        "X-Forwarded-Port: 443",
        "x-forwarded-server: proxy",
        "x-forwarded-prefix: /clocks",
        "forwarded: for=192.0.2.1",
        "x-real-ip: 192.0.2.1",
        "via: 1.1 proxy",
    ] {
        let request = format!("GET /v1/time HTTP/1.1\r\nhost: localhost\r\n{header}");
        let answer = send(&server, &request).await;
        assert_eq!((answer.status, &*answer.code()), (403, "PROXIED"), "{header}");
        assert_eq!(send(&said, &request).await.status, 200, "{header}");
    }
    assert_eq!(send(&said, "GET /v1/time HTTP/1.1\r\nhost: example.org").await.status, 200);
}
