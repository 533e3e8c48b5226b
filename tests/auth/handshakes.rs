//! WebSockets of those who try more than one thing at once: two sessions in one handshake, two credentials in one write, a first message
//! that has no end, a command behind the loss of its permission.

use futures_util::SinkExt;
use serde_json::{Value, json};
use test_support::sessions::{id, participant, two_players};
use test_support::ws::Client;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{Guarded, ask, backend, now_s};

const HOUR: u64 = 3_600_000;

async fn begin(guarded: &Guarded, n: u64) {
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(&id(n), HOUR)).await;
    ask(&guarded.server, &backend(), "POST", &format!("/v1/sessions/{}/start", id(n)), &Value::Null).await;
}

/// A message by which somebody says who they are, who may do something in the first session.
fn auth(guarded: &Guarded, subject: &str, allow: &[&str]) -> Value {
    let grants = json!([{"sessions": [id(1)], "as": [participant(0)], "allow": allow}]);
    json!({"type": "AUTH", "token": guarded.token(subject, now_s() + 600, &grants)})
}

async fn unknown(guarded: &Guarded) -> Client {
    Client::open(guarded.server.address(), &format!("?sessionId={}", id(1))).await
}

/// Several messages in one write.
async fn say_at_once(client: &mut Client, messages: &[Value]) {
    for message in messages {
        client.stream.feed(Message::text(message.to_string())).await.expect("there is room");
    }
    client.stream.flush().await.expect("the server reads");
}

/// The code of the close that comes after other messages.
async fn last(client: &mut Client) -> u16 {
    loop {
        if let Message::Close(Some(close)) = client.receive().await {
            return close.code.into();
        }
    }
}

#[tokio::test]
async fn the_session_that_is_judged_is_the_one_that_is_joined() {
    let guarded = Guarded::start().await;
    begin(&guarded, 1).await;
    begin(&guarded, 2).await;
    let bearer = guarded.bearer("player", &json!([{"sessions": [id(1)], "allow": ["watch"]}]));
    let (own, foreign) = (id(1), id(2));
    let mut joined = 0;
    for query in [
        format!("sessionId={own}&sessionId={foreign}"),
        format!("sessionId={foreign}&sessionId={own}"),
        format!("%73essionId={foreign}&sessionId={own}"),
        format!("sessionId={own}&%73essionId={foreign}"),
        format!("sessionId={own}&sessionid={foreign}"),
        format!("sessionId={own}%26sessionId={foreign}"),
        format!("sessionId={foreign}#sessionId={own}"),
    ] {
        let head = format!(
            "GET /ws?{query} HTTP/1.1\r\nhost: test\r\nauthorization: {bearer}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut connection = guarded.server.connect().await;
        connection.send(head.as_bytes()).await;
        let answer = connection.answer(true).await.expect("it is answered");
        if answer.status != 101 {
            assert!([400, 403].contains(&answer.status), "{query}: {answer:?}");
            continue;
        }
        // The change of the one is told, and the one of the other is not.
        for session in [&foreign, &own] {
            ask(&guarded.server, &backend(), "POST", &format!("/v1/sessions/{session}/switch"), &Value::Null).await;
        }
        ask(&guarded.server, &backend(), "DELETE", &format!("/v1/sessions/{own}"), &Value::Null).await;
        let told = String::from_utf8_lossy(&connection.rest().await).into_owned();
        assert!(!told.contains(&foreign), "{query}: {told}");
        joined += usize::from(told.contains(&own));
        begin(&guarded, 1).await;
    }
    assert!(joined >= 2, "{joined} were let in");
}

#[tokio::test]
async fn who_says_who_they_are_twice_at_once_is_somebody_once() {
    let guarded = Guarded::start().await;
    begin(&guarded, 1).await;
    let player = auth(&guarded, "player", &["watch", "switch:own"]);
    let mut twice = unknown(&guarded).await;
    say_at_once(&mut twice, &[player.clone(), player.clone()]).await;
    for expected in ["CONNECTED", "STATE_SYNC", "AUTHENTICATED", "AUTHENTICATED"] {
        assert_eq!(twice.next().await["type"], expected);
    }
    let mut other = unknown(&guarded).await;
    say_at_once(&mut other, &[player.clone(), auth(&guarded, "other", &["watch"])]).await;
    assert_eq!(last(&mut other).await, 4503, "whoever comes in is who stays");
    let mut wrong = unknown(&guarded).await;
    say_at_once(&mut wrong, &[json!({"type": "AUTH", "token": "nonsense"}), player]).await;
    assert_eq!(last(&mut wrong).await, 4501, "the first counts");
}

#[tokio::test]
async fn a_command_is_judged_by_what_its_sender_may_when_it_comes() {
    let guarded = Guarded::start().await;
    begin(&guarded, 1).await;
    let mut client = unknown(&guarded).await;
    let switch = |name: &str| json!({"type": "SWITCH", "request_id": name});
    let messages = [
        auth(&guarded, "player", &["watch", "switch"]),
        switch("a"),
        auth(&guarded, "player", &["watch"]),
        switch("b"),
        auth(&guarded, "player", &["watch", "switch"]),
        switch("c"),
    ];
    say_at_once(&mut client, &messages).await;
    for (name, status) in [("a", 200), ("b", 403), ("c", 200)] {
        let result = client.next_of("RESULT").await;
        assert_eq!((&result["request_id"], &result["status"]), (&json!(name), &json!(status)), "{result}");
    }
}

#[tokio::test]
async fn a_first_message_has_a_length() {
    let guarded = Guarded::start().await;
    begin(&guarded, 1).await;
    let padded = |len: usize, token: &Value| {
        let text = json!({"type": "AUTH", "token": token, "x": ""}).to_string();
        text.replace(r#""x":"""#, &format!(r#""x":"{}""#, "x".repeat(len - text.len())))
    };
    let token = auth(&guarded, "player", &["watch"])["token"].clone();
    for (len, expected) in [(16 * 1_024, None), (16 * 1_024 + 1, Some(1009))] {
        let mut client = unknown(&guarded).await;
        client.send(Message::text(padded(len, &token))).await;
        match expected {
            None => assert_eq!(client.next().await["type"], "CONNECTED"),
            Some(code) => assert_eq!(last(&mut client).await, code),
        }
    }
}

/// A piece now and then is no answer.
#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_first_message_without_an_end_is_not_waited_for() {
    let guarded = Guarded::start().await;
    let mut client = unknown(&guarded).await;
    let mut kind = Data::Text;
    let code = loop {
        let piece = Frame::message("{".as_bytes().to_vec(), OpCode::Data(kind), false);
        kind = Data::Continue;
        if client.stream.send(Message::Frame(piece)).await.is_err() {
            break last(&mut client).await;
        }
        // As fast as a client that means to take its time.
        let told = tokio::time::timeout(std::time::Duration::from_millis(200), client.receive()).await;
        if let Ok(Message::Close(Some(close))) = told {
            break close.code.into();
        }
    };
    assert_eq!(code, 4501);
}
