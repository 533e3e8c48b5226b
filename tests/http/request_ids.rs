//! Request ids, in responses and in the log.

use std::collections::HashSet;

use test_support::program::Program;
use test_support::server::Server;
use test_support::sessions::id;

#[tokio::test]
async fn every_answer_has_one() {
    let server = Server::start().await;
    let mut made = HashSet::new();
    let path = format!("/v1/sessions/{}", id(1));
    let asked =
        [("GET", "/health"), ("GET", &*path), ("OPTIONS", "/"), ("PUT", "/ready"), ("GET", "/x"), ("HEAD", "/ws")];
    for (method, path) in asked {
        let mut client = server.connect().await;
        for given in ["req-1.A_z", "not fit", ""] {
            let answer = client.ask_with(method, path, &[("x-request-id", given)], "").await;
            let name = answer.header("x-request-id").unwrap_or_else(|| panic!("{method} {path}: {answer:?}"));
            match given {
                "req-1.A_z" => assert_eq!(name, given, "{method} {path}"),
                _ => assert!(made.insert(name.to_owned()) && name.len() == 16, "{method} {path}: {answer:?}"),
            }
        }
    }
    for nonsense in ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        let mut client = server.connect().await;
        client.send(nonsense.as_bytes()).await;
        let answer = client.answer(false).await.expect("it is told");
        assert_eq!(answer.header("x-request-id").map(str::len), Some(16), "{nonsense:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_log_knows_them() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut program = Program::start(&[("LOG_LEVEL", "debug")]);
    let mut client = test_support::http::Connection::open(program.address).await;
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    client.ask_with("GET", "/health", &[("x-request-id", "mine"), ("traceparent", &traceparent)], "").await;
    let line = loop {
        let line = program.log_line();
        assert!(!line.is_empty(), "the log ends");
        if line.contains("\"answered\"") {
            break line;
        }
    };
    for known in
        ["\"request_id\":\"mine\"", &format!("\"trace_id\":\"{TRACE}\""), "\"path\":\"/health\"", "\"status\":200"]
    {
        assert!(line.contains(known), "{known}: {line}");
    }
}
