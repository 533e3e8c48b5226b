//! WebSockets with keys: how a client says who it is, what it is refused, and what becomes of it when its token ends.

use futures_util::SinkExt;
use serde_json::{Value, json};
use test_support::sessions::{id, participant, two_players};
use test_support::tokens::{Signer, claims};
use test_support::wait;
use test_support::ws::Client;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{Guarded, ask, backend, now_s};

const HOUR: u64 = 3_600_000;

fn query() -> String {
    format!("?sessionId={}", id(1))
}

fn watching() -> Value {
    json!([{"sessions": [id(1)], "as": [participant(0)], "allow": ["watch", "switch:own"]}])
}

async fn open(guarded: &Guarded, headers: &[(&'static str, &str)]) -> Client {
    Client::open_with(guarded.server.address(), &query(), headers).await
}

/// The close that must come next: its code and reason.
async fn closed(client: &mut Client) -> (u16, String) {
    let close = client.closed().await;
    (close.code.into(), close.reason.to_string())
}

/// What a handshake is answered with, if it is refused, and the code of the error.
async fn refused(guarded: &Guarded, headers: &[(&'static str, &str)]) -> (u16, String) {
    let mut request = format!("ws://{}/ws{}", guarded.server.address(), query()).into_client_request().expect("a URL");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("it can stand in a header"));
    }
    match tokio_tungstenite::connect_async(request).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
            let body: Value = serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).unwrap_or_default();
            (answer.status().as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned())
        }
        other => panic!("{headers:?}: {other:?}"),
    }
}

async fn begin(guarded: &Guarded) {
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(&id(1), HOUR)).await;
    ask(&guarded.server, &backend(), "POST", &format!("/v1/sessions/{}/start", id(1)), &Value::Null).await;
}

#[tokio::test]
async fn a_header_says_who_asks_or_the_handshake_is_refused() {
    let guarded = Guarded::start().await;
    let good = guarded.bearer("player", &watching());
    let mut client = open(&guarded, &[("authorization", &good)]).await;
    let connected = client.next().await;
    assert_eq!(connected["type"], "CONNECTED");
    assert!(connected["expires_at"].as_str().is_some_and(|at| at.ends_with(".000Z")), "{connected}");
    let mut of_key = open(&guarded, &[("authorization", &backend())]).await;
    assert_eq!(of_key.next().await.get("expires_at"), None);

    let expired = format!("Bearer {}", guarded.token("player", now_s() - 60, &watching()));
    let elsewhere = guarded.bearer("player", &json!([{"sessions": [id(2)], "allow": ["*"]}]));
    let reading = guarded.bearer("player", &json!([{"sessions": ["*"], "allow": ["read"]}]));
    for (bearer, expected) in [
        ("Bearer nonsense", (401, "INVALID_TOKEN")),
        (&expired, (401, "TOKEN_EXPIRED")),
        (&elsewhere, (403, "FORBIDDEN")),
        (&reading, (403, "FORBIDDEN")),
    ] {
        let (status, code) = refused(&guarded, &[("authorization", bearer)]).await;
        assert_eq!((status, &*code), expected, "{bearer}");
    }
    let two = "bearer.a, bearer.b";
    assert_eq!(refused(&guarded, &[("sec-websocket-protocol", two)]).await.0, 400);
    let both = [("sec-websocket-protocol", "bearer.a"), ("authorization", &*good)];
    assert_eq!(refused(&guarded, &both).await.0, 400);
}

#[tokio::test]
async fn a_protocol_says_who_asks_and_a_page_can_read_why_it_must_go() {
    let guarded = Guarded::start().await;
    let offer = |token: &str| format!("synckairos.v1, bearer.{token}");
    let token = guarded.token("player", now_s() + 60, &watching());
    let request = |offer: &str| {
        let mut request =
            format!("ws://{}/ws{}", guarded.server.address(), query()).into_client_request().expect("a URL");
        request.headers_mut().insert("sec-websocket-protocol", offer.parse().expect("it can stand in a header"));
        request
    };
    let (stream, answer) = tokio_tungstenite::connect_async(request(&offer(&token))).await.expect("it shakes hands");
    let protocols: Vec<_> = answer.headers().get_all("sec-websocket-protocol").iter().collect();
    assert_eq!(protocols, ["synckairos.v1"], "the token is not echoed");
    assert_eq!(Client { stream }.next().await["type"], "CONNECTED");

    let expired = guarded.token("player", now_s() - 60, &watching());
    let reading = guarded.token("player", now_s() + 60, &json!([{"sessions": ["*"], "allow": ["read"]}]));
    for (token, expected) in [
        ("nonsense", (4501, "Not authenticated")),
        (&*expired, (4401, "Token expired")),
        (&reading, (4503, "Forbidden")),
    ] {
        let (stream, _) = tokio_tungstenite::connect_async(request(&offer(token))).await.expect("it shakes hands");
        let (code, reason) = closed(&mut Client { stream }).await;
        assert_eq!((code, &*reason), expected, "{token}");
    }
}

#[tokio::test]
async fn a_first_message_says_who_asks() {
    let guarded = Guarded::start().await;
    begin(&guarded).await;
    let token = guarded.token("player", now_s() + 60, &watching());
    let auth = json!({"type": "AUTH", "token": token});
    let binary = Message::binary(auth.to_string().into_bytes());
    for message in [Message::text(auth.to_string()), binary] {
        let mut client = open(&guarded, &[("sec-websocket-protocol", "synckairos.v1")]).await;
        client.send(message).await;
        let first = [client.next().await, client.next().await, client.next().await];
        let types: Vec<_> = first.iter().map(|message| &message["type"]).collect();
        assert_eq!(types, ["CONNECTED", "STATE_SYNC", "AUTHENTICATED"], "{first:?}");
        assert_eq!(first[2]["expires_at"], first[0]["expires_at"]);
        let result = client.order(json!({"type": "PAUSE", "request_id": "a"})).await;
        assert_eq!((&result["status"], &result["error"]["code"]), (&json!(403), &json!("FORBIDDEN")), "{result}");
    }
    // In pieces.
    let mut client = open(&guarded, &[("sec-websocket-protocol", "synckairos.v1")]).await;
    let text = auth.to_string();
    let (start, end) = text.split_at(20);
    let pieces = [(start, OpCode::Data(Data::Text), false), (end, OpCode::Data(Data::Continue), true)];
    for (piece, kind, is_last) in pieces {
        let frame = Frame::message(piece.as_bytes().to_vec(), kind, is_last);
        client.stream.send(Message::Frame(frame)).await.expect("the server reads");
    }
    assert_eq!(client.next().await["type"], "CONNECTED");
}

#[tokio::test]
async fn who_says_something_else_first_is_told_nothing() {
    let guarded = Guarded::start().await;
    begin(&guarded).await;
    let reading = guarded.token("player", now_s() + 60, &json!([{"sessions": ["*"], "allow": ["read"]}]));
    let expired = guarded.token("player", now_s() - 60, &watching());
    for (message, expected) in [
        (json!({"type": "RECONNECT"}), (4501, "Not authenticated")),
        (json!({"type": "PING"}), (4501, "Not authenticated")),
        (json!({"type": "SWITCH", "request_id": "a"}), (4501, "Not authenticated")),
        (json!({"type": "AUTH"}), (4501, "Not authenticated")),
        (json!({"type": "AUTH", "token": "nonsense"}), (4501, "Not authenticated")),
        (json!({"type": "AUTH", "token": "x".repeat(10_000)}), (4501, "Not authenticated")),
        (json!({"type": "AUTH", "token": expired}), (4401, "Token expired")),
        (json!({"type": "AUTH", "token": reading}), (4503, "Forbidden")),
    ] {
        let mut client = open(&guarded, &[]).await;
        client.say(message.clone()).await;
        let (code, reason) = closed(&mut client).await;
        assert_eq!((code, &*reason), expected, "{message}");
    }
    let metrics = ask(&guarded.server, &backend(), "GET", "/metrics", &Value::Null).await.body;
    assert!(metrics.contains("\nsynckairos_subscriptions 0\n"), "nobody subscribed");
}

#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn who_says_nothing_is_closed() {
    let guarded = Guarded::start().await;
    let mut client = open(&guarded, &[]).await;
    assert_eq!(closed(&mut client).await, (4501, "Not authenticated".to_owned()));
}

#[tokio::test]
async fn so_many_of_an_address_may_have_to_say_who_they_are() {
    let guarded = Guarded::start().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(open(&guarded, &[]).await);
    }
    assert_eq!(refused(&guarded, &[]).await, (503, "UNAVAILABLE".to_owned()));
    let good = guarded.bearer("player", &watching());
    assert_eq!(open(&guarded, &[("authorization", &good)]).await.next().await["type"], "CONNECTED");
    drop(clients);
    wait::until("there is room again", async || {
        let address = guarded.server.address();
        tokio_tungstenite::connect_async(format!("ws://{address}/ws{}", query())).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_spectator_commands_nothing() {
    let guarded = Guarded::start().await;
    begin(&guarded).await;
    let bearer = guarded.bearer("spectator", &json!([{"sessions": [id(1)], "allow": ["read", "watch"]}]));
    let mut client = open(&guarded, &[("authorization", &bearer)]).await;
    for kind in ["START", "PAUSE", "RESUME", "SWITCH", "COMPLETE", "CANCEL"] {
        let result = client.order(json!({"type": kind, "request_id": kind})).await;
        assert_eq!((&result["request_id"], &result["status"]), (&json!(kind), &json!(403)), "{result}");
        assert_eq!(result["error"]["details"], json!({"needs": kind.to_lowercase()}));
    }
    let mut player = open(&guarded, &[("authorization", &guarded.bearer("player", &watching()))]).await;
    let forbidden = json!({"type": "SWITCH", "request_id": "a", "next_participant_id": participant(0)});
    assert_eq!(player.order(forbidden).await["status"], 403);
    assert_eq!(player.order(json!({"type": "SWITCH", "request_id": "b"})).await["status"], 200);
    assert_eq!(player.order(json!({"type": "SWITCH", "request_id": "c"})).await["status"], 409);
}

#[tokio::test]
async fn a_client_says_anew_who_it_is_while_it_stays() {
    let guarded = Guarded::start().await;
    begin(&guarded).await;
    let token = |subject: &str, grants: &Value| guarded.token(subject, now_s() + 300, grants);
    let auth = |token: String| json!({"type": "AUTH", "token": token});
    let bearer = guarded.bearer("player", &watching());
    let mut client = open(&guarded, &[("authorization", &bearer)]).await;
    let switch = json!({"type": "SWITCH", "request_id": "a"});

    // What is none changes nothing.
    for wrong in ["nonsense".to_owned(), guarded.token("player", now_s() - 60, &watching())] {
        client.say(auth(wrong)).await;
        assert_eq!(client.next_of("ERROR").await["code"], "INVALID_TOKEN");
    }
    assert_eq!(client.order(switch.clone()).await["status"], 200);
    // Fewer rights, and then more.
    for (allow, status) in [(json!(["watch"]), 403), (json!(["watch", "switch"]), 200)] {
        client.say(auth(token("player", &json!([{"sessions": [id(1)], "allow": allow}])))).await;
        let answer = client.next_of("AUTHENTICATED").await;
        assert!(answer["expires_at"].is_string() && answer["timestamp"].is_u64(), "{answer}");
        assert_eq!(client.order(switch.clone()).await["status"], status, "{allow}");
    }
    // Somebody else, or nobody who may watch.
    client.say(auth(token("other", &watching()))).await;
    assert_eq!(last(&mut client).await, (4503, "Forbidden".to_owned()));
    let mut client = open(&guarded, &[("authorization", &bearer)]).await;
    client.say(auth(token("player", &json!([{"sessions": [id(1)], "allow": ["read"]}])))).await;
    assert_eq!(last(&mut client).await, (4503, "Forbidden".to_owned()));
}

/// The close that comes after other messages.
async fn last(client: &mut Client) -> (u16, String) {
    loop {
        if let Message::Close(Some(close)) = client.receive().await {
            return (close.code.into(), close.reason.to_string());
        }
    }
}

#[tokio::test]
async fn a_client_is_told_that_its_token_ends_and_closed_when_it_has() {
    let guarded = Guarded::start_with(&[], &json!({"leeway_s": 0})).await;
    let short = format!("Bearer {}", guarded.token("player", now_s() + 2, &watching()));
    let mut client = open(&guarded, &[("authorization", &short)]).await;
    let expires_at = client.next().await["expires_at"].clone();
    let told = client.next_of("TOKEN_EXPIRING").await;
    assert_eq!(told["expires_at"], expires_at);
    assert_eq!(closed(&mut client).await, (4401, "Token expired".to_owned()));

    // One that is renewed stays, although it keeps sending, and one that is not goes.
    let mut renewed = open(&guarded, &[("authorization", &bearer_of(&guarded, 2))]).await;
    let mut busy = open(&guarded, &[("authorization", &bearer_of(&guarded, 2))]).await;
    renewed.next_of("TOKEN_EXPIRING").await;
    renewed.say(json!({"type": "AUTH", "token": guarded.token("player", now_s() + 60, &watching())})).await;
    renewed.next_of("AUTHENTICATED").await;
    let end = loop {
        busy.say(json!({"type": "PING"})).await;
        match busy.receive().await {
            Message::Close(Some(close)) => break u16::from(close.code),
            _ => continue,
        }
    };
    assert_eq!(end, 4401);
    renewed.say(json!({"type": "PING"})).await;
    assert_eq!(renewed.next_of("PONG").await["type"], "PONG");
}

fn bearer_of(guarded: &Guarded, lifetime_s: u64) -> String {
    format!("Bearer {}", guarded.token("player", now_s() + lifetime_s, &watching()))
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_opens_none() {
    let guarded = Guarded::start_with(&[("CORS_ORIGIN", "https://example.org")], &json!({})).await;
    let bearer = guarded.bearer("player", &watching());
    for origin in [
        "https://example.org.evil.com",
        "https://example.org:8443",
        "http://example.org",
        "HTTPS://EXAMPLE.ORG",
        "null",
        "https://example.org, https://evil.com",
    ] {
        let answer = refused(&guarded, &[("authorization", &bearer), ("origin", origin)]).await;
        assert_eq!(answer, (403, "ORIGIN_NOT_ALLOWED".to_owned()), "{origin}");
    }
    let mut allowed = open(&guarded, &[("authorization", &bearer), ("origin", "https://example.org")]).await;
    assert_eq!(allowed.next().await["type"], "CONNECTED");
    let of_rest = [("authorization", &*bearer), ("origin", "https://evil.com")];
    let answer = guarded.server.connect().await.ask_with("GET", "/v1/time", &of_rest, "").await;
    assert_eq!(answer.status, 200, "a foreign page has no token, so that one with a token is none");
}

#[tokio::test]
async fn where_nobody_is_asked_who_they_are_everybody_is_authenticated() {
    let server = test_support::server::Server::start().await;
    let mut client = Client::join(server.address(), &id(1)).await;
    let token = Signer::hs256(1).token("k", &claims("somebody", 1, &json!([])));
    client.say(json!({"type": "AUTH", "token": token})).await;
    let answer = client.next().await;
    assert_eq!((&answer["type"], answer.get("expires_at")), (&json!("AUTHENTICATED"), None), "{answer}");
    client.say(json!({"type": "AUTH", "token": 1})).await;
    assert_eq!(client.next().await["code"], "INVALID_MESSAGE");
}
