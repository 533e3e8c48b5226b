//! A listener for operators: what is served there and to whom, and what is not served to clients any more.

use std::net::SocketAddr;

use serde_json::{Value, json};
use test_support::directory::Directory;
use test_support::http::{Answer, Connection};
use test_support::program::{Program, command, output};
use test_support::server::Server;
use test_support::wait;

use super::{Guarded, ask, backend};

const APART: (&str, &str) = ("ADMIN_ADDRESS", "127.0.0.1:0");
/// What operators may ask, all without a key.
const PATHS: [&str; 6] = ["/metrics", "/metrics/", "/health", "/ready", "/api-docs", "/api-docs.json"];

/// A request on a connection of its own, as it is sent but for the end of its head.
async fn send(address: SocketAddr, head: &str) -> Answer {
    let mut client = Connection::open(address).await;
    client.send(format!("{head}\r\n\r\n").as_bytes()).await;
    client.answer(head.starts_with("HEAD")).await.expect("it is answered")
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost")).await
}

#[tokio::test]
async fn what_is_counted_stands_where_operators_are_and_nowhere_else() {
    let guarded = Guarded::start_with(&[APART], &json!({})).await;
    let (clients, operators) = (guarded.server.address(), guarded.server.admin_address());
    for path in PATHS {
        assert_eq!(get(operators, path).await.status, 200, "{path}");
    }
    for credential in ["Bearer synk_backend_wrong", "Bearer a.b.c", &backend()] {
        let head = format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: {credential}");
        let answer = send(operators, &head).await;
        assert!(answer.status == 200 && answer.body.contains("\nsynckairos_active_sessions 0"), "{answer:?}");
    }
    assert_eq!(send(operators, "HEAD /metrics HTTP/1.1\r\nhost: localhost").await.status, 200);
    assert_eq!(send(operators, "POST /metrics HTTP/1.1\r\nhost: localhost").await.status, 405);
    for (method, path) in [("GET", "/metrics"), ("GET", "/metrics/"), ("POST", "/metrics")] {
        for bearer in [&*backend(), "Bearer synk_backend_wrong"] {
            let answer = ask(&guarded.server, bearer, method, path, &Value::Null).await;
            assert_eq!((answer.status, &*answer.code()), (404, "NOT_FOUND"), "{method} {path}");
        }
    }
    for path in ["/health", "/ready", "/api-docs", "/api-docs.json"] {
        assert_eq!(get(clients, path).await.status, 200, "{path}");
    }
    let session = format!("/v1/sessions/{}", test_support::sessions::id(1));
    for (method, path) in [
        ("GET", "/v1/time"),
        ("POST", "/v1/sessions"),
        ("GET", &*session),
        ("DELETE", &session),
        ("GET", &format!("/ws?sessionId={}", test_support::sessions::id(1))),
    ] {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {}", backend());
        let answer = send(operators, &head).await;
        assert_eq!((answer.status, &*answer.code()), (404, "NOT_FOUND"), "{method} {path}");
    }
}

#[tokio::test]
async fn operators_are_told_why() {
    let guarded = Guarded::start_with(&[APART], &json!({})).await;
    guarded.write(&json!({}));
    let told = get(guarded.server.admin_address(), "/ready").await.json();
    let why = told["error"].as_str().expect("something is wrong");
    assert!(told["status"] == "degraded" && why.contains("KEYS_FILE: ") && why.ends_with("keys: missing"), "{told}");
    let stranger = get(guarded.server.address(), "/ready").await.json();
    assert_eq!(stranger, json!({"status": "degraded", "error": "degraded", "causes": []}));
}

#[tokio::test]
async fn foreign_pages_and_names_lead_to_nothing() {
    let settings = [APART, ("ALLOWED_HOSTS", ""), ("CORS_ORIGIN", "*")];
    let closed = Guarded::start_with(&settings, &json!({})).await;
    let open = Server::start_with(&settings).await;
    for operators in [closed.server.admin_address(), open.admin_address()] {
        for path in PATHS {
            let foreign = send(operators, &format!("GET {path} HTTP/1.1\r\nhost: evil.com")).await;
            let page = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.com");
            let page = send(operators, &page).await;
            assert_eq!((page.status, &*page.code()), (403, "ORIGIN_NOT_ALLOWED"), "{path}");
            match path {
                "/health" => assert_eq!(foreign.status, 200, "a check says nothing of anybody"),
                _ => assert_eq!((foreign.status, &*foreign.code()), (403, "HOST_NOT_ALLOWED"), "{path}"),
            }
        }
        let own = format!("GET /metrics HTTP/1.1\r\nhost: {operators}\r\norigin: http://{operators}");
        assert_eq!(send(operators, &own).await.status, 200);
    }
    // A list of names is for clients first of all.
    let named = Guarded::start_with(&[APART, ("ALLOWED_HOSTS", "clocks.example.org")], &json!({})).await;
    for (host, to_clients, to_operators) in
        [("clocks.example.org", 200, 200), ("127.0.0.1:9464", 403, 200), ("evil.com", 403, 403)]
    {
        let head = format!("GET /ready HTTP/1.1\r\nhost: {host}");
        assert_eq!(send(named.server.address(), &head).await.status, to_clients, "{host}");
        assert_eq!(send(named.server.admin_address(), &head).await.status, to_operators, "{host}");
    }
}

#[tokio::test]
async fn a_crowd_at_one_keeps_nobody_from_the_other() {
    let server = Server::start_with(&[APART, ("MAX_CONNECTIONS", "1"), ("BASE_PATH", "/sync")]).await;
    let (clients, operators) = (server.address(), server.admin_address());
    let mut only = Connection::open(clients).await;
    assert_eq!(only.ask("GET", "/sync/v1/time", "").await.status, 200);
    assert_eq!(get(clients, "/sync/v1/time").await.status, 503, "there are as many as there may be");
    let mut crowd = Vec::new();
    for n in 0..64 {
        crowd.push(Connection::open(operators).await);
        let answer = crowd[n].ask("GET", "/sync/metrics", "").await;
        assert_eq!(answer.status, 200, "{n}");
    }
    assert_eq!(get(operators, "/sync/metrics").await.status, 503, "there are as many as there may be");
    assert_eq!(get(operators, "/sync/ready").await.status, 200, "a probe has a place beside them");
    drop(only);
    wait::until("clients are served", async || get(clients, "/sync/v1/time").await.status == 200).await;
    drop(crowd);
    wait::until("operators are served", async || get(operators, "/sync/metrics").await.status == 200).await;
}

#[test]
fn the_program_says_where_both_are_and_which_is_taken() {
    let program = Program::start(&[APART]);
    let address = program.started["admin_address"].as_str().expect("it is told").to_owned();
    let healthy = output(command().args(["health", "--ready", "--url", &format!("http://{address}")]));
    assert!(healthy.status.success(), "{healthy:?}");
    let refused = output(command().env("PORT", "0").env("ADMIN_ADDRESS", &address));
    let said = String::from_utf8(refused.stderr).expect("it is text");
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let line: Value = serde_json::from_str(said.lines().last().expect("it says something")).expect("a log line");
    assert_eq!((&line["message"], &line["address"]), (&json!("cannot listen"), &json!(address)), "{line}");
}

#[tokio::test]
async fn operators_may_have_a_socket() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let path = directory.path().join("admin.sock");
    let socket = format!("unix:{}", path.display());
    let mut program = Program::start(&[("ADMIN_ADDRESS", &socket)]);
    assert_eq!(program.started["admin_address"], json!(socket));
    let healthy = output(command().args(["health", "--ready", "--url", &socket]));
    assert!(healthy.status.success(), "{healthy:?}");
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    assert!(!path.exists(), "nothing is left of it");
}

#[tokio::test]
async fn both_end_together() {
    let server = Server::start_with(&[APART]).await;
    let addresses = [server.address(), server.admin_address()];
    let mut kept = Vec::new();
    for address in addresses {
        kept.push(Connection::open(address).await);
        let answer = kept.last_mut().expect("one was added").ask("GET", "/health", "").await;
        assert_eq!(answer.status, 200);
    }
    server.stop().await;
    for (address, mut kept) in addresses.into_iter().zip(kept) {
        assert!(kept.is_closed().await, "a connection that is idle is closed");
        assert!(Connection::try_open(address).await.is_none(), "nothing listens at {address}");
    }
}
