//! Where a server listens: below a base path, at a Unix socket; and how it drains and stops.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::program::{Program, command, output};
use test_support::redis::signal;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;

const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn everything_can_be_below_a_path() {
    let server = Server::start_with(&[("BASE_PATH", "/sync/")]).await;
    let mut client = server.connect().await;
    let body = two_players(&id(1), HOUR).to_string();
    assert_eq!(client.ask("POST", "/sync/v1/sessions", &body).await.status, 201);
    for (path, status) in [
        ("/sync/health", 200),
        ("/sync/ready/", 200),
        ("/sync/metrics", 200),
        ("/sync/ws", 426),
        ("/sync", 404),
        ("/health", 404),
        ("/syncope/health", 404),
        ("/sync//health", 404),
        ("/ws", 404),
    ] {
        assert_eq!(client.ask("GET", path, "").await.status, status, "{path}");
    }
    let page = client.ask("GET", "/sync/api-docs", "").await.body;
    assert!(!page.contains("\"/api-docs"), "what it fetches is relative");
    assert_eq!(client.ask("GET", "/sync/api-docs.json", "").await.json()["servers"], json!([{ "url": "." }]));
    let url = format!("ws://{}/sync/ws?session%49d={}", server.address(), id(1).replace('-', "%2D"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("the server shakes hands");
    let first = futures_util::StreamExt::next(&mut socket).await.expect("a message").expect("it is whole");
    assert!(first.to_text().expect("text").contains("CONNECTED"), "{first:?}");

    let program = Program::start(&[("BASE_PATH", "/sync")]);
    for settings in [&[("BASE_PATH", "/sync")][..], &[]] {
        let mut health = command();
        health.arg("health").env("PORT", program.address.port().to_string()).envs(settings.iter().copied());
        assert_eq!(output(&mut health).status.code(), Some(i32::from(settings.is_empty())));
    }
    let url = format!("http://{}/sync", program.address);
    assert_eq!(output(command().args(["health", "--url", &url])).status.code(), Some(0));
}

/// What is answered to a request over a socket in the file system.
async fn ask_at(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it is text");
    answer
}

#[tokio::test]
async fn a_server_can_be_at_a_socket_in_the_file_system() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let path = directory.path().join("server.sock");
    let host = format!("unix:{}", path.display());
    let mut start = command();
    let mut server = start
        .env("HOST", &host)
        .env("AUTH", "off")
        .env("BASE_PATH", "/b")
        .env("RATE_LIMIT_GENERAL", "1000")
        .spawn()
        .expect("it runs");
    wait::until("it listens", async || UnixStream::connect(&path).await.is_ok()).await;
    let found = std::fs::symlink_metadata(&path).expect("it is there");
    assert!(found.file_type().is_socket());
    wait::until("only its group may connect", async || {
        std::fs::symlink_metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o777 == 0o660)
    })
    .await;
    let forwarded = "GET /b/v1/time HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: 192.0.2.1\r\n\r\n";
    for remaining in [999, 998] {
        let answer = ask_at(&path, forwarded).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&format!("remaining: {remaining}")), "{answer}");
    }
    let said = output(command().arg("health").env("HOST", &host).env("BASE_PATH", "/b"));
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let mut stream = UnixStream::connect(&path).await.expect("it listens");
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let request = format!(
        "GET /b/ws?sessionId={} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n",
        id(1)
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("CONNECTED") {
        assert!(stream.read_buf(&mut read).await.expect("it is open") > 0, "{:?}", String::from_utf8_lossy(&read));
    }
    let second = output(command().env("HOST", &host));
    assert_eq!(second.status.code(), Some(1), "somebody is there: {second:?}");

    // One that is left behind is replaced, and one's own is removed.
    server.kill().expect("it runs");
    server.wait().expect("it ended");
    assert!(path.exists());
    let mut server = command().env("HOST", &host).spawn().expect("it runs");
    wait::until("it listens again", async || UnixStream::connect(&path).await.is_ok()).await;
    signal(server.id(), "TERM");
    assert!(server.wait().expect("it ended").success());
    assert!(!path.exists());
    std::fs::write(&path, "something else").expect("it can be written");
    assert_eq!(output(command().env("HOST", &host)).status.code(), Some(1), "what is no socket stays");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "something else");
}

#[tokio::test]
async fn a_draining_server_is_not_ready_and_serves_on() {
    let mut program = Program::start(&[("DRAIN_S", "3600")]);
    let mut client = Connection::open(program.address).await;
    assert_eq!(client.ask("GET", "/ready", "").await.status, 200);
    program.signal("TERM");
    wait::until("it says so", async || client.ask("GET", "/ready", "").await.status == 503).await;
    assert!(client.ask("GET", "/ready", "").await.body.contains("about to stop"));
    assert_eq!(client.ask("GET", "/health", "").await.status, 200);
    let mut other = Connection::open(program.address).await;
    other.create(&two_players(&id(1), HOUR)).await;
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(1), "the second signal ends it at once");

    let mut program = Program::start(&[("DRAIN_S", "1")]);
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
}
