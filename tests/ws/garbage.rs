//! Protocol errors of WebSocket clients: an error where one is possible, a close code where none is, no harm to other clients.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use test_support::frames::{self, BINARY, CLOSE, CONTINUATION, FIN, Frames, PING, PONG, TEXT, frame};
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

const MESSAGE_LEN_MAX: usize = 16 * 1_024;

#[tokio::test]
async fn an_unknown_message_is_an_error_and_the_client_stays() {
    let server = Server::start().await;
    let created = server.connect().await.create(&two_players(&id(1), 60_000)).await;
    let mut client = Client::join(server.address(), &id(1)).await;
    client.next_of("STATE_SYNC").await;
    let deep = format!(r#"{{"type":{}"#, "[".repeat(10_000));
    for text in [
        "",
        " ",
        "PING",
        "{",
        "{}",
        "null",
        "7",
        "\"PING\"",
        "[]",
        r#"[{"type":"PING"}]"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"Ping"}"#,
        r#"{"type":" PING"}"#,
        r#"{"Type":"PING"}"#,
        r#"{"type":null}"#,
        r#"{"type":1}"#,
        r#"{"type":["PING"]}"#,
        r#"{"type":"PING"}{"type":"PING"}"#,
        r#"{"type":"PING",}"#,
        r#"{'type':'PING'}"#,
        r#"{"type":"\ud800"}"#,
        r#"{"type":"PING\u0000"}"#,
        r#"{"type":"DELETE","request_id":"a"}"#,
        r#"{"type":"STATE_UPDATE","state":{}}"#,
        "\u{feff}{\"type\":\"PING\"}",
        &deep,
    ] {
        for message in [Message::text(text), Message::binary(text.as_bytes().to_vec())] {
            client.send(message).await;
            let error = client.next().await;
            let why = error["message"].as_str().unwrap_or_default();
            assert_eq!(error, json!({"type": "ERROR", "code": "INVALID_MESSAGE", "message": why}), "{text}");
            assert!(!why.is_empty());
        }
    }
    client.send(Message::binary(b"{\"type\":\"PING\",\"\xff\":1}".to_vec())).await;
    assert_eq!(client.next().await["code"], "INVALID_MESSAGE", "binary frames are read as text, which is UTF-8");
    client.say(json!({"type": "RECONNECT"})).await;
    assert_eq!(client.next().await["state"], created);
}

#[tokio::test]
async fn a_message_is_text_however_it_is_framed() {
    let server = Server::start().await;
    let mut client = Frames::open(server.address(), &id(1)).await;
    assert_eq!(client.message().await["type"], "CONNECTED");
    let message = r#"{"type":"PING","timestamp":1,"é":"é"}"#.as_bytes();
    let mut bytes: Vec<_> = message.iter().map(std::slice::from_ref).collect();
    let (first, last) = (bytes.remove(0), bytes.pop().expect("more than one"));
    for (kind, between) in [(TEXT, Vec::new()), (BINARY, Vec::new()), (TEXT, frame(FIN | PING, b"between"))] {
        let mut whole = frame(kind, first);
        for byte in &bytes {
            whole.extend(frame(CONTINUATION, byte));
            whole.extend(&between);
            whole.extend(frame(CONTINUATION, b""));
        }
        whole.extend(frame(FIN | CONTINUATION, last));
        client.send(&whole).await;
        let mut pongs = 0;
        loop {
            match client.next().await.expect("the server stays") {
                (TEXT, text) => {
                    let pong: Value = serde_json::from_slice(&text).expect("messages are JSON");
                    assert_eq!((&pong["type"], &pong["client_timestamp"]), (&"PONG".into(), &1.into()));
                    break;
                }
                (PONG, payload) => {
                    assert_eq!(payload, b"between");
                    pongs += 1;
                }
                other => panic!("neither an answer nor a pong: {other:?}"),
            }
        }
        assert_eq!(pongs > 0, !between.is_empty(), "a ping between fragments is answered");
    }
    client.send(&frame(FIN | BINARY, message)).await;
    assert_eq!(client.message().await["type"], "PONG");
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_closed_with_the_reason() {
    const PROTOCOL: Option<(u16, &str)> = Some((1002, "Protocol error"));
    const NOT_UTF8: Option<(u16, &str)> = Some((1007, "Text must be UTF-8"));
    let ping = br#"{"type":"PING"}"#;
    let unmasked = [&[FIN | TEXT, ping.len() as u8][..], ping].concat();
    let server = Server::start().await;
    let created = server.connect().await.create(&two_players(&id(1), 60_000)).await;
    let mut witness = Client::join(server.address(), &id(1)).await;
    for (what, bytes, close) in [
        ("an unmasked frame", unmasked, PROTOCOL),
        ("a reserved bit", frame(FIN | 0x40 | TEXT, ping), PROTOCOL),
        ("a reserved bit", frame(FIN | 0x20 | TEXT, ping), PROTOCOL),
        ("a reserved bit", frame(FIN | 0x10 | PING, b""), PROTOCOL),
        ("a reserved data opcode", frame(FIN | 3, ping), PROTOCOL),
        ("a reserved data opcode", frame(FIN | 7, ping), PROTOCOL),
        ("a reserved control opcode", frame(FIN | 11, b""), PROTOCOL),
        ("a reserved control opcode", frame(FIN | 15, b""), PROTOCOL),
        ("a ping in pieces", frame(PING, b"a"), PROTOCOL),
        ("a close in pieces", frame(CLOSE, b""), PROTOCOL),
        ("a ping that is too long", frame(FIN | PING, &[b'a'; 126]), PROTOCOL),
        ("a continuation of nothing", frame(FIN | CONTINUATION, ping), PROTOCOL),
        ("a message in a message", [frame(TEXT, b"{"), frame(FIN | TEXT, ping)].concat(), PROTOCOL),
        ("a close with half a code", frame(FIN | CLOSE, &[3]), PROTOCOL),
        ("a close with a code of nobody's", frame(FIN | CLOSE, &[0x03, 0xed]), Some((1002, "Protocol violation"))),
        ("a close with a reason", frame(FIN | CLOSE, b"\x03\xe8bye"), Some((1000, "bye"))),
        ("bytes that are no text", frame(FIN | TEXT, b"\xff\xfe"), NOT_UTF8),
        ("a surrogate", frame(FIN | TEXT, b"{\"type\":\"\xed\xa0\x80\"}"), NOT_UTF8),
        ("half a character", [frame(TEXT, b"\xc3"), frame(FIN | CONTINUATION, b"")].concat(), NOT_UTF8),
        ("HTTP", b"GET /health HTTP/1.1\r\nhost: test\r\n\r\n".to_vec(), PROTOCOL),
    ] {
        let mut client = Frames::open(server.address(), &id(1)).await;
        client.send(&bytes).await;
        let closed = client.closed().await;
        assert_eq!(closed.as_ref().map(|(code, reason)| (*code, reason.as_str())), close, "{what}");
        client.send(&frame(FIN | CLOSE, b"")).await;
        assert_eq!(client.next().await, None, "{what}: then the connection ends");
    }
    witness.say(json!({"type": "RECONNECT"})).await;
    witness.next_of("STATE_SYNC").await;
    assert_eq!(witness.next_of("STATE_SYNC").await["state"], created, "nobody else was touched");
}

#[tokio::test]
async fn a_message_has_at_most_16_kib() {
    let server = Server::start().await;
    let ping = |len: usize| {
        let (start, end) = (r#"{"type":"PING","timestamp":7,"filler":""#, r#""}"#);
        format!("{start}{}{end}", "x".repeat(len - start.len() - end.len())).into_bytes()
    };
    let pieces = |message: &[u8], most: usize| {
        let mut pieces: Vec<_> = message.chunks(most).map(|piece| frame(CONTINUATION, piece)).collect();
        pieces.first_mut().expect("a piece")[0] |= TEXT;
        pieces.last_mut().expect("a piece")[0] |= FIN;
        pieces.concat()
    };
    let announcement = |len| [frames::head(FIN | TEXT, len), b"mask".to_vec()].concat();
    let (longest, too_long) = (ping(MESSAGE_LEN_MAX), ping(MESSAGE_LEN_MAX + 1));
    let mut client = Frames::open(server.address(), &id(1)).await;
    assert_eq!(client.message().await["type"], "CONNECTED");
    for bytes in
        [frame(FIN | TEXT, &longest), frame(FIN | BINARY, &longest), pieces(&longest, 1_000), pieces(&longest, 16_383)]
    {
        client.send(&bytes).await;
        assert_eq!(client.message().await["client_timestamp"], 7);
    }
    for (what, bytes) in [
        ("one byte more", frame(FIN | TEXT, &too_long)),
        ("one byte more, binary", frame(FIN | BINARY, &too_long)),
        ("one byte more in pieces", pieces(&too_long, 1_000)),
        ("one byte more in a piece of its own", pieces(&too_long, MESSAGE_LEN_MAX)),
        ("much more", frame(FIN | TEXT, &ping(1 << 20))),
        ("the announcement of much more", announcement(1 << 40)),
        ("the announcement of most", announcement(u64::MAX)),
    ] {
        let mut client = Frames::open(server.address(), &id(1)).await;
        client.send(&bytes).await;
        assert_eq!(client.closed().await, Some((1009, "Message too big".to_owned())), "{what}");
    }
}
