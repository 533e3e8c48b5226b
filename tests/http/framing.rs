//! Where requests begin and end: whatever two readers could read differently is refused or read in one way,
//! and the connection closes, so that nothing behind it is ever taken for a request of its own.

use serde_json::{Value, json};

use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};

const HOUR: u64 = 3_600_000;

/// What comes of bytes on a connection of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Answered with this status; what follows is a request of its own.
    Served(u16),
    /// Answered with this status and code; the connection closes, and what follows is never read.
    Refused(u16, &'static str),
    /// Answered with this status, since there is one way only to read it; the connection closes all the same.
    Closed(u16),
}

use Fate::{Closed, Refused, Served};

const BAD: Fate = Refused(400, "BAD_REQUEST");
const NOT_READ: Fate = Refused(400, "INVALID_JSON");
const TOO_LARGE: Fate = Refused(431, "REQUEST_HEADER_FIELDS_TOO_LARGE");

/// Sends each of `cases` with the deletion of a session right behind it, all in one piece, and holds what
/// comes of both against what is expected.
async fn check(cases: &[(&str, Fate)]) {
    let server = Server::start().await;
    let mut witness = server.connect().await;
    let victim = format!("/v1/sessions/{}", id(1));
    for &(request, fate) in cases {
        witness.create(&two_players(&id(1), HOUR)).await;
        let what: String = request.chars().take(300).collect();
        let what = format!("{what:?} {fate:?}");

        let mut client = server.connect().await;
        client.send(format!("{request}DELETE {victim} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await;
        let answer = client.answer(false).await.unwrap_or_else(|| panic!("no answer: {what}"));
        match fate {
            Served(status) => {
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                let next = client.answer(false).await;
                assert_eq!(next.map(|answer| answer.status), Some(204), "the next request is read: {what}");
                assert_eq!(witness.ask("GET", &victim, "").await.status, 404, "{what}");
            }
            Refused(status, code) => {
                assert_eq!((answer.status, &*answer.code()), (status, code), "{what}: {answer:?}");
                assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{what}");
                assert_last(&mut client, &answer, &what).await;
            }
            Closed(status) => {
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                assert_last(&mut client, &answer, &what).await;
            }
        }
        let read = witness.ask("GET", &victim, "").await;
        assert_eq!(read.status, if matches!(fate, Served(_)) { 404 } else { 200 }, "{what}");
        witness.ask("DELETE", &victim, "").await;
    }
}

async fn assert_last(client: &mut Connection, answer: &Answer, what: &str) {
    let said = answer.header("connection") == Some("close");
    assert!(said || what.contains("HTTP/1.0"), "a client is told: {what}: {answer:?}");
    assert!(client.is_closed().await, "nothing follows: {what}");
}

/// A PATCH that fails if its body is read as anything but `{}`, with `headers` and then `body`.
fn patch(headers: &str, body: &str) -> String {
    format!("PATCH /v1/sessions/{} HTTP/1.1\r\nhost: test\r\n{headers}\r\n{body}", id(1))
}

#[tokio::test]
async fn a_length_is_digits_and_one() {
    let served = |headers: &str| (patch(headers, "{}"), Served(200));
    let refused = |headers: &str| (patch(headers, "{}"), BAD);
    let cases = [
        served("Content-Length: 2\r\n"),
        served("content-length:2\r\n"),
        served("Content-Length: \t 2 \t\r\n"),
        served("Content-Length: 02\r\n"),
        // Twice the same is one length (RFC 9112, section 6.3).
        served("Content-Length: 2\r\nContent-Length: 2\r\n"),
        refused("Content-Length: 2\r\nContent-Length: 3\r\n"),
        refused("Content-Length: 2\r\nContent-Length: 0\r\n"),
        refused("Content-Length: 0\r\nX: y\r\nContent-Length: 2\r\n"),
        refused("Content-Length: 2, 2\r\n"),
        refused("Content-Length: 2,3\r\n"),
        refused("Content-Length: +2\r\n"),
        refused("Content-Length: -2\r\n"),
        refused("Content-Length: 2 0\r\n"),
        refused("Content-Length: 0x2\r\n"),
        refused("Content-Length: 2.0\r\n"),
        refused("Content-Length: 2e0\r\n"),
        refused("Content-Length: \"2\"\r\n"),
        refused("Content-Length: two\r\n"),
        refused("Content-Length: \u{0662}\r\n"),
        refused("Content-Length:\r\n"),
        refused("Content-Length: 184467440737095516150\r\n"),
        refused("Content-Length : 2\r\n"),
        refused("Content-Length\t: 2\r\n"),
        refused(" Content-Length: 2\r\n"),
        refused("Content-Length: 2\r\n Content-Length: 3\r\n"),
        refused("X: y\r\n 2\r\nContent-Length: 2\r\n"),
        refused("X: y\r\n\tfolded\r\nContent-Length: 2\r\n"),
        refused("Content-Length: \r\n 2\r\n"),
        refused("Content-Length: 2\rX: y\r\n"),
        refused("Content-Length\0: 2\r\n"),
        refused("Content-Length: 2\0\r\n"),
        // A length that fits no counter is taken for a head that is too large.
        (patch("Content-Length: 18446744073709551615\r\n", "{}"), TOO_LARGE),
        (patch("Content-Length: 18446744073709551613\r\n", "{}"), Refused(413, "PAYLOAD_TOO_LARGE")),
    ];
    check(&cases.each_ref().map(|(request, fate)| (&**request, *fate))).await;
}

/// `chunked`, once, is the only coding; a length beside it does not count (RFC 9112, section 6.1), and the
/// connection closes behind it.
#[tokio::test]
async fn a_coding_is_chunked_and_once() {
    const CHUNKS: &str = "2\r\n{}\r\n0\r\n\r\n";
    let with = |headers: &str, fate: Fate| (patch(headers, CHUNKS), fate);
    let cases = [
        with("Transfer-Encoding: chunked\r\n", Served(200)),
        with("transfer-encoding:\tChunked \r\n", Served(200)),
        with("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", Closed(200)),
        with("Transfer-Encoding: chunked\r\nContent-Length: 12\r\n", Closed(200)),
        with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", Closed(200)),
        with("Content-Length: 2\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n", Closed(200)),
        with("Transfer-Encoding: chunked\r\nContent-Length: nonsense\r\n", Closed(200)),
        with("Content-Length: 2\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", BAD),
        with("Content-Length: nonsense\r\nTransfer-Encoding: chunked\r\n", BAD),
        with("Transfer-Encoding: identity\r\n", BAD),
        with("Transfer-Encoding: xchunked\r\n", BAD),
        with("Transfer-Encoding: chunkedx\r\n", BAD),
        with("Transfer-Encoding: \"chunked\"\r\n", BAD),
        with("Transfer-Encoding: chunked;q=1\r\n", BAD),
        with("Transfer-Encoding: \r\n", BAD),
        with("Transfer-Encoding: \u{b}chunked\r\n", BAD),
        with("Transfer-Encoding: gzip, chunked\r\n", BAD),
        with("Transfer-Encoding: chunked, gzip\r\n", BAD),
        with("Transfer-Encoding: chunked, identity\r\n", BAD),
        with("Transfer-Encoding: identity, chunked\r\n", BAD),
        with("Transfer-Encoding: chunked, chunked\r\n", BAD),
        with("Transfer-Encoding: ,chunked\r\n", BAD),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", BAD),
        with("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", BAD),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", BAD),
        with("Transfer-Encoding: xchunked\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n", BAD),
        with("Content-Length: 2\r\nTransfer-Encoding: identity\r\n", BAD),
        with("Transfer-Encoding : chunked\r\n", BAD),
        with("Transfer-Encoding: chunked\r\n folded\r\n", BAD),
        with("Transfer-Encoding\0: chunked\r\n", BAD),
    ];
    check(&cases.each_ref().map(|(request, fate)| (&**request, *fate))).await;

    // Nobody takes this for the header, so there is no body, and what looks like one is no request.
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.send(patch("Transfer_Encoding: chunked\r\n", CHUNKS).as_bytes()).await;
    let statuses: Vec<_> = client.answers().await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn chunks_are_read_to_the_letter() {
    let chunked = |chunks: &str, fate: Fate| (patch("Transfer-Encoding: chunked\r\n", chunks), fate);
    let trailers = "x: y\r\n".repeat(101);
    let large = format!("x: {}\r\n", "y".repeat(20_000));
    let extension = "x".repeat(20_000);
    let cases = [
        chunked("0\r\n\r\n", Served(200)),
        chunked("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", Served(200)),
        chunked("002\r\n{}\r\n000\r\n\r\n", Served(200)),
        chunked("2;name=value;\"a\"\r\n{}\r\n0\r\n\r\n", Served(200)),
        chunked("2 \t\r\n{}\r\n0\r\n\r\n", Served(200)),
        chunked("2\r\n{}\r\n0\r\nTrailer: x\r\nContent-Length: 7\r\n\r\n", Closed(200)),
        chunked("A\r\n{       \n}\r\n0\r\n\r\n", Served(200)),
        chunked("", NOT_READ),
        chunked("\r\n", NOT_READ),
        chunked(" 2\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("+2\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("-2\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("0x2\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("g\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("2 2\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("2\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("2\r{}\r\n0\r\n\r\n", NOT_READ),
        chunked("2;a\nb\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("2\r\n{}\n0\r\n\r\n", NOT_READ),
        chunked("2\r\n{}0\r\n\r\n", NOT_READ),
        chunked("1\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("3\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("2\r\n{}\r\n0\n\r\n", NOT_READ),
        chunked("2\r\n{}\r\n0\r\n\n", Closed(200)),
        chunked("2\r\n{}\r\n0\r\nx: y\n\n", Closed(200)),
        chunked("2\r\n{}\r\n0\r\nx: y\n\r\n", Closed(200)),
        chunked("2\r\n{}\r\n0\r\nx y\r\n\r\n", NOT_READ),
        chunked("10000000000000000\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked("ffffffffffffffffffffff\r\n{}\r\n0\r\n\r\n", NOT_READ),
        chunked(&format!("2;{extension}\r\n{{}}\r\n0\r\n\r\n"), NOT_READ),
        chunked(&format!("2\r\n{{}}\r\n0\r\n{trailers}\r\n"), NOT_READ),
        chunked(&format!("2\r\n{{}}\r\n0\r\n{large}\r\n"), NOT_READ),
    ];
    check(&cases.each_ref().map(|(request, fate)| (&**request, *fate))).await;
}

#[tokio::test]
async fn a_head_is_http_1() {
    let many = |count: usize| format!("GET /health HTTP/1.1\r\nhost: test\r\n{}\r\n", "x: y\r\n".repeat(count - 1));
    let (hundred, more) = (many(100), many(101));
    let long = |len: usize| format!("GET /health HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "y".repeat(len));
    let (allowed, too_long) = (long(15_000), long(17_000));
    let uri = |len: usize| format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "y".repeat(len));
    let (uri_allowed, uri_too_long, uri_far_too_long) = (uri(15_000), uri(17_000), uri(100_000));
    check(&[
        ("GET /health HTTP/1.1\r\nhost: test\r\n\r\n", Served(200)),
        ("GET /health HTTP/1.1\r\nHOST:\r\n\r\n", Served(200)),
        ("\r\nGET /health HTTP/1.1\r\nhost: test\r\n\r\n", Served(200)),
        ("GET http://elsewhere:80/health HTTP/1.1\r\nhost: elsewhere\r\n\r\n", Served(200)),
        // A line feed alone may end a line of the head (RFC 9112, section 2.2), and does so everywhere in it.
        ("GET /health HTTP/1.1\nhost: test\n\n", Served(200)),
        ("GET /health HTTP/1.1\r\nhost: test\nx: y\r\n\n", Served(200)),
        ("GET /health HTTP/1.1\r\nhost: test\r\nx: \u{e9}\r\n\r\n", Served(200)),
        ("GET /health HTTP/1.1\r\n\r\n", Served(400)),
        ("GET /health HTTP/1.1\r\nhost: test\r\nhost: test\r\n\r\n", Served(400)),
        ("GET /health HTTP/1.1\r\nhost: a\r\nx: y\r\nHost: b\r\n\r\n", Served(400)),
        (&hundred, Served(200)),
        (&allowed, Served(200)),
        (&uri_allowed, Served(404)),
        (&more, TOO_LARGE),
        (&too_long, TOO_LARGE),
        (&uri_too_long, TOO_LARGE),
        (&uri_far_too_long, TOO_LARGE),
        ("GET /health\r\n\r\n", BAD),
        ("GET /health\r\n", BAD),
        ("GET /health HTTP/0.9\r\n\r\n", BAD),
        ("GET /health HTTP/2.0\r\nhost: test\r\n\r\n", BAD),
        ("GET /health HTTP/1.2\r\nhost: test\r\n\r\n", BAD),
        ("GET /health HTTP/1.10\r\nhost: test\r\n\r\n", BAD),
        ("GET /health http/1.1\r\nhost: test\r\n\r\n", BAD),
        ("GET /health ICY/1.1\r\nhost: test\r\n\r\n", BAD),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
        ("GET  /health HTTP/1.1\r\nhost: test\r\n\r\n", BAD),
        ("GET /health  HTTP/1.1\r\nhost: test\r\n\r\n", BAD),
        ("GET /hea lth HTTP/1.1\r\nhost: test\r\n\r\n", BAD),
        ("GET\t/health\tHTTP/1.1\r\nhost: test\r\n\r\n", BAD),
        (" GET /health HTTP/1.1\r\nhost: test\r\n\r\n", BAD),
        ("G\0T /health HTTP/1.1\r\nhost: test\r\n\r\n", BAD),
        ("GET /hea\0lth HTTP/1.1\r\nhost: test\r\n\r\n", BAD),
        ("GET health HTTP/1.1\r\nhost: test\r\n\r\n", Served(404)),
        ("GET /health HTTP/1.1\rhost: test\r\n\r\n", BAD),
        ("GET /health HTTP/1.1\r\nhost test\r\n\r\n", BAD),
        ("GET /health HTTP/1.1\r\nhost: test\r\n: empty\r\n\r\n", BAD),
        ("GET /health HTTP/1.1\r\nhost: test\r\nx y: z\r\n\r\n", BAD),
        ("GET /health HTTP/1.1\r\nhost: test\r\nx: \u{1}\r\n\r\n", BAD),
        ("GET /health HTTP/1.1\r\nhost: test\r\nx: y\rz: a\r\n\r\n", BAD),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}", BAD),
        ("{\"session_id\":1}\r\n\r\n", BAD),
        ("\0\0\0\0\0\0\0\0\r\n\r\n", BAD),
    ])
    .await;
}

#[tokio::test]
async fn http_1_0_is_served_and_closed() {
    check(&[
        ("GET /health HTTP/1.0\r\n\r\n", Closed(200)),
        ("GET /health HTTP/1.0\r\nhost: test\r\nconnection: close\r\n\r\n", Closed(200)),
        ("GET /health HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", Closed(400)),
        ("PATCH /v1/sessions/1 HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}", Closed(400)),
        ("POST /v1/sessions/1/switch HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
        ("GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n", Closed(200)),
        ("GET /health HTTP/1.1\r\nhost: test\r\nconnection: x, Close\r\n\r\n", Closed(200)),
        ("GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\nconnection: keep-alive\r\n\r\n", Closed(200)),
        ("GET /health HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", Served(200)),
        ("GET /health HTTP/1.1\r\nhost: test\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", Served(200)),
        ("GET /health HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", Served(200)),
        ("CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere:443\r\n\r\n", Served(404)),
    ])
    .await;
}

/// A body that nobody asked for is read all the same, or else the connection ends with the answer.
#[tokio::test]
async fn no_body_is_taken_for_the_next_request() {
    let inner = format!("DELETE /v1/sessions/{} HTTP/1.1\r\nhost: test\r\n\r\n", id(1));
    let with_body =
        |line: &str| format!("{line} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{inner}", inner.len());
    let cases = [
        (with_body("GET /health"), Served(200)),
        (with_body("HEAD /health"), Served(200)),
        (with_body(&format!("POST /v1/sessions/{}/start", id(1))), Served(200)),
        (with_body("POST /v1/sessions"), Served(400)),
        (with_body("GET /nowhere"), Closed(404)),
        (with_body("PUT /health"), Closed(405)),
        (with_body("OPTIONS /health"), Closed(204)),
        (with_body("GET /ws"), Closed(426)),
        (
            with_body("GET /ws").replace(
                "host: test\r\ncontent-length",
                "host: test\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\ncontent-length",
            ),
            Closed(426),
        ),
    ];
    for (request, fate) in &cases {
        let server = Server::start().await;
        let mut witness = server.connect().await;
        witness.create(&two_players(&id(1), HOUR)).await;
        let mut client = server.connect().await;
        client.send(request.as_bytes()).await;
        client.finish().await;
        let answer = client.answer(request.starts_with("HEAD")).await.expect("it is answered");
        assert!(client.is_closed().await, "one request, one answer: {request:?}");
        let (Served(status) | Closed(status)) = *fate else { panic!("{fate:?} is not tried here") };
        assert_eq!(answer.status, status, "{request:?}");
        let closes = answer.header("connection") == Some("close");
        assert_eq!(closes, matches!(fate, Closed(_)), "{request:?}: {answer:?}");
        assert_eq!(witness.read(&id(1)).await["session_id"], id(1), "{request:?}");
    }
}

#[tokio::test]
async fn a_client_that_expects_100_gets_continue() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let body = two_players(&id(1), HOUR).to_string();
    let head = |len: usize| {
        format!("POST /v1/sessions HTTP/1.1\r\nhost: test\r\nexpect: 100-Continue\r\ncontent-length: {len}\r\n\r\n")
    };
    client.send(head(body.len()).as_bytes()).await;
    assert_eq!(client.answer(false).await.map(|answer| answer.status), Some(100));
    client.send(body.as_bytes()).await;
    assert_eq!(client.answer(false).await.map(|answer| answer.status), Some(201));
    assert_eq!(client.read(&id(1)).await["version"], 1, "the connection goes on");

    // What is refused whatever the body says is refused before it is sent.
    client.send(head(2_000_000).as_bytes()).await;
    let answer = client.answer(false).await.expect("it is answered");
    assert_eq!((answer.status, answer.code()), (413, "PAYLOAD_TOO_LARGE".to_owned()), "{answer:?}");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn many_requests_in_one_piece_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    let mut requests = String::new();
    for n in 0..200 {
        let path = format!("/v1/sessions/{}", id(1));
        requests += &match n % 4 {
            0 => format!("POST {path}/switch HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{{}}"),
            1 => format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"),
            2 => format!(
                "PATCH {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{{\r\n1\r\n}}\r\n0\r\n\r\n"
            ),
            _ => format!("GET /nowhere/{n} HTTP/1.1\r\nhost: test\r\n\r\n"),
        };
    }
    client.send(requests.as_bytes()).await;
    for n in 0..200 {
        let answer = client.answer(false).await.unwrap_or_else(|| panic!("no answer to request {n}"));
        if n % 4 == 3 {
            assert_eq!(answer.status, 404, "request {n}: {answer:?}");
        } else {
            assert_eq!(answer.json()["data"]["version"], 3 + n / 4, "request {n}: {answer:?}");
        }
    }
    assert_eq!(client.read(&id(1)).await["version"], 52, "nothing is left over");
}

/// Bytes as they trickle in: each cut of a request and of the one behind it.
#[tokio::test]
async fn a_request_may_arrive_in_any_pieces() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    let path = format!("/v1/sessions/{}", id(1));
    let requests = format!(
        "PATCH {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{{}}\
         POST {path}/switch HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    for cut in 1..requests.len() {
        client.send(&requests.as_bytes()[..cut]).await;
        // By the time that another client has its answer, the server has seen the first piece.
        let mut other = server.connect().await;
        assert_eq!(other.ask("GET", "/health", "").await.status, 200);
        client.send(&requests.as_bytes()[cut..]).await;
        for status in [200, 400] {
            let answer = client.answer(false).await.unwrap_or_else(|| panic!("no answer, cut at {cut}"));
            assert_eq!(answer.status, status, "cut at {cut}: {answer:?}");
        }
    }
}

/// Even those that the server is still sending when it finds that nothing more will come.
#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_client_that_has_finished_sending_gets_its_answers() {
    const READS: usize = 100;
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut session = two_players(&id(1), HOUR);
    let entry = |n: u64| json!({"participant_id": participant(n), "participant_index": 0, "total_time_ms": HOUR});
    session["participants"] = (0..1_000).map(entry).collect();
    let create = session.to_string();
    let read = format!("GET /v1/sessions/{} HTTP/1.1\r\nhost: test\r\n\r\n", id(1));
    let head = format!("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", create.len());
    client.send(format!("{head}{create}{}", read.repeat(READS)).as_bytes()).await;
    client.finish().await;
    let answers = client.answers().await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [&[201][..], &[200; READS]].concat());
    assert!(answers.iter().all(|answer| answer.body.len() > 100_000), "and all of each");
}

/// What comes before it has been answered; garbage is answered too, and ends the connection.
#[tokio::test]
async fn garbage_behind_a_request_does_not_spoil_it() {
    let server = Server::start().await;
    for (garbage, status) in [("\0\0\0\0", 400), ("GET /health HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400)] {
        let mut client = server.connect().await;
        client.send(format!("GET /health HTTP/1.1\r\nhost: test\r\n\r\n{garbage}").as_bytes()).await;
        let answers = client.answers().await;
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, status], "{garbage:?}");
        assert_eq!(answers[1].code(), "BAD_REQUEST", "{garbage:?}");
    }
}
