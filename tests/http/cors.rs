//! CORS: which origins may read responses, and what they may request.

use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::sessions::{id, two_players};

const HOUR: u64 = 3_600_000;
const ORIGIN: &str = "https://example.org:8443";
const EXPOSED: &str = "ETag, Retry-After, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-ID, \
                       SyncKairos-Settled, Idempotency-Replayed, WWW-Authenticate";

fn assert_readable(answer: &Answer, origin: &str, what: &str) {
    for (name, value) in [
        ("access-control-allow-origin", Some(origin)),
        // Browsers refuse it beside a star.
        ("access-control-allow-credentials", Some("true").filter(|_| origin != "*")),
        ("access-control-expose-headers", Some(EXPOSED)),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {answer:?}");
    }
    let varies = answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin");
    assert_eq!(varies, origin != "*", "{what}: {answer:?}");
}

/// Answers of every kind, errors and what hyper cannot read included.
async fn every_answer(server: &Server) -> Vec<(String, Answer)> {
    let mut client = server.connect().await;
    let session = two_players(&id(1), HOUR).to_string();
    let path = format!("/v1/sessions/{}", id(1));
    let mut answers = Vec::new();
    for (method, path, body, status) in [
        ("POST", "/v1/sessions", &*session, 201),
        ("POST", "/v1/sessions", &session, 409),
        ("POST", "/v1/sessions", "{", 400),
        ("GET", &path, "", 200),
        ("HEAD", &path, "", 200),
        ("POST", &format!("{path}/switch"), "", 400),
        ("GET", "/nowhere", "", 404),
        ("PUT", "/health", "", 405),
        ("GET", "/health", "", 200),
        ("GET", "/api-docs", "", 200),
        ("GET", "/ws", "", 426),
        ("DELETE", &path, "", 204),
        ("OPTIONS", &path, "", 204),
    ] {
        let answer = client.ask(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        answers.push((format!("{method} {path}"), answer));
    }
    for (request, status) in [
        ("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: 9000000\r\n\r\n", 413),
        ("GET /health HTTP/1.1\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
    ] {
        let mut client = server.connect().await;
        client.send(request.as_bytes()).await;
        let answer = client.answer(false).await.expect("it is answered");
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        answers.push((request.to_owned(), answer));
    }
    answers
}

#[tokio::test]
async fn pages_of_every_origin_may_read_every_answer_if_that_is_said() {
    for (what, answer) in every_answer(&Server::start_with(&[("CORS_ORIGIN", "*")]).await).await {
        assert_readable(&answer, "*", &what);
    }
}

#[tokio::test]
async fn pages_of_the_given_origin_may_read_every_answer() {
    let server = Server::start_with(&[("CORS_ORIGIN", ORIGIN)]).await;
    for (what, answer) in every_answer(&server).await {
        assert_readable(&answer, ORIGIN, &what);
    }
    // Whoever asks: it is the browser that compares.
    let mut client = server.connect().await;
    let answer = client.ask_with("GET", "/api-docs.json", &[("Origin", "https://elsewhere.org")], "").await;
    assert_readable(&answer, ORIGIN, "from elsewhere");
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn pages_of_each_of_several_origins_may_read_every_answer() {
    let server = Server::start_with(&[("CORS_ORIGIN", "https://*.example.org, https://example.net")]).await;
    let mut client = server.connect().await;
    for (origin, is_allowed) in [
        ("https://a.example.org", true),
        ("https://example.net", true),
        ("https://example.org", false),
        ("https://a.example.org.evil.com", false),
    ] {
        let answer = client.ask_with("GET", "/health", &[("Origin", origin)], "").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin).filter(|_| is_allowed), "{origin}");
        assert!(answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_on_any_path() {
    let limits = [("RATE_LIMIT_GENERAL", "1"), ("CORS_ORIGIN", ORIGIN)];
    let server = Server::start_with(&limits).await;
    let mut client: Connection = server.connect().await;
    assert_eq!(client.ask("GET", "/v1/time", "").await.status, 200);
    assert_eq!(client.ask("GET", "/v1/time", "").await.status, 429, "the limit is reached");
    let session = format!("/v1/sessions/{}/switch", id(1));
    for path in ["/v1/sessions", &session, "/v1/sessions/1", "/health", "/nowhere", "/", "*", "/ws"] {
        for asked in [Some("content-type, if-match, x-anything"), None] {
            let mut headers = vec![("Origin", ORIGIN), ("Access-Control-Request-Method", "PATCH")];
            headers.extend(asked.map(|asked| ("Access-Control-Request-Headers", asked)));
            let answer = client.ask_with("OPTIONS", path, &headers, "").await;
            let what = format!("{path} {asked:?}");
            assert_eq!((answer.status, &*answer.body), (204, ""), "{what}: {answer:?}");
            assert_readable(&answer, ORIGIN, &what);
            assert_eq!(
                answer.header("access-control-allow-methods"),
                Some("GET, HEAD, POST, PATCH, DELETE"),
                "{what}: {answer:?}"
            );
            assert_eq!(answer.header("access-control-allow-headers"), asked, "{what}: {answer:?}");
            assert_eq!(answer.header("ratelimit-limit"), None, "{what}: {answer:?}");
        }
    }
}
