//! Long responses are compressed for clients that accept gzip.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::json;

use test_support::http::Connection;
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};

const HOUR: u64 = 3_600_000;

/// The head of an answer as text, and its body, decoded if it is compressed.
async fn ask(mut client: Connection, path: &str, accepted: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: {accepted}\r\n\r\n");
    client.send(request.as_bytes()).await;
    let answer = client.rest().await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head ends") + 4;
    let (head, body) = answer.split_at(end);
    let head = String::from_utf8(head.to_vec()).expect("a head is ASCII");
    let mut text = String::new();
    if head.contains("content-encoding: gzip\r\n") {
        GzDecoder::new(body).read_to_string(&mut text).expect("it is gzip of text");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(body.len() < text.len() / 2, "{} of {}", body.len(), text.len());
    } else {
        text = String::from_utf8(body.to_vec()).expect("it is text");
    }
    (head, text)
}

fn etag(head: &str) -> &str {
    head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag")
}

#[tokio::test]
async fn a_long_response_is_compressed_for_clients_that_accept_it() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (n, count) in [(1, 10), (2, 1_000)] {
        let mut session = two_players(&id(n), HOUR);
        let entry = |n: u64| json!({"participant_id": participant(n), "participant_index": n, "total_time_ms": HOUR});
        session["participants"] = (0..count).map(entry).collect();
        client.create(&session).await;
        let path = format!("/v1/sessions/{}", id(n));
        let (plain_head, plain) = ask(server.connect().await, &path, "identity").await;
        assert!(
            !plain_head.contains("content-encoding") && plain_head.contains("vary: Accept-Encoding\r\n"),
            "{plain_head}"
        );
        let (head, text) = ask(server.connect().await, &path, "gzip, br").await;
        assert!(head.contains("content-encoding: gzip\r\n") && head.contains("vary: Accept-Encoding\r\n"), "{head}");
        let state = |text: &str| text.rsplit_once(",\"server_time_ms\"").expect("a state").0.to_owned();
        assert_eq!(state(&text), state(&plain));
        assert_eq!(etag(&head), format!("W/{}", etag(&plain_head)));

        // What such an answer says of itself is understood.
        let known =
            client.ask_with("GET", &path, &[("if-none-match", etag(&head)), ("accept-encoding", "gzip")], "").await;
        assert_eq!(known.status, 304);
        let headers = [("if-match", etag(&head))];
        assert_eq!(client.ask_with("POST", &format!("{path}/start"), &headers, "").await.status, 200);
        assert_eq!(client.ask_with("POST", &format!("{path}/pause"), &headers, "").await.status, 409);
    }
}

#[tokio::test]
async fn a_short_answer_goes_as_it_is() {
    let server = Server::start().await;
    server.connect().await.create(&two_players(&id(1), HOUR)).await;
    for path in [format!("/v1/sessions/{}", id(1)), "/health".to_owned()] {
        let (head, _) = ask(server.connect().await, &path, "gzip").await;
        assert!(!head.contains("content-encoding") && !head.contains("vary"), "{head}");
    }
    for path in ["/api-docs", "/api-docs.json", "/metrics"] {
        let (head, text) = ask(server.connect().await, path, "gzip").await;
        assert!(head.contains("content-encoding: gzip") && text.len() > 2_048, "{path}: {head}");
    }
}
