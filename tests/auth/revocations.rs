//! Revocations: tokens that count no more before they end, on connections that are open too.

use serde_json::{Value, json};
use test_support::directory::Directory;
use test_support::http::{Answer, Connection};
use test_support::program::{Program, command, output};
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::tokens::{Signer, claims};
use test_support::wait;
use test_support::ws::Client;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{Guarded, ask, backend, key, now_s, signing_key};

const PATH: &str = "/v1/revocations";

fn everything() -> Value {
    json!([{"sessions": ["*"], "allow": ["*"]}])
}

/// A token that says when it was made, and perhaps its name.
fn token(signer: &Signer, subject: &str, issued_s: u64, name: Option<&str>) -> String {
    let mut claims = claims(subject, now_s() + 600, &everything());
    claims["iat"] = json!(issued_s);
    if let Some(name) = name {
        claims["jti"] = json!(name);
    }
    signer.token("k1", &claims)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn revoke(guarded: &Guarded, body: Value) -> Answer {
    let answer = ask(&guarded.server, &backend(), "POST", PATH, &body).await;
    assert_eq!(answer.status, 201, "{body}: {answer:?}");
    answer
}

/// What a credential is answered with.
async fn asked(guarded: &Guarded, token: &str, path: &str) -> (u16, String) {
    let answer = ask(&guarded.server, &bearer(token), "GET", path, &Value::Null).await;
    (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn revoked() -> (u16, String) {
    (401, "TOKEN_REVOKED".to_owned())
}

async fn watch(guarded: &Guarded, token: &str, n: u64) -> Client {
    let query = format!("?sessionId={}", id(n));
    let mut client = Client::open_with(guarded.server.address(), &query, &[("authorization", &bearer(token))]).await;
    assert_eq!(client.next().await["type"], "CONNECTED");
    client
}

async fn is_closed_as_revoked(client: &mut Client) {
    let close = client.closed().await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4401, "Token revoked"));
}

async fn is_there(client: &mut Client) {
    client.say(json!({"type": "PING"})).await;
    assert_eq!(client.next().await["type"], "PONG");
}

#[tokio::test]
async fn tokens_of_a_subject_count_no_more_on_any_connection() {
    let guarded = Guarded::start().await;
    let old = token(&guarded.signer, "player", now_s() - 60, None);
    let undated = guarded.token("player", now_s() + 600, &everything());
    let other = token(&guarded.signer, "other", now_s() - 60, None);
    let mut kept = guarded.server.connect().await;
    let header = bearer(&old);
    assert_eq!(kept.ask_with("GET", "/v1/time", &[("authorization", &header)], "").await.status, 200);
    let (mut gone, mut stays) = (watch(&guarded, &old, 1).await, watch(&guarded, &other, 1).await);

    let answer = revoke(&guarded, json!({"sub": "player"})).await;
    let data = &answer.json()["data"];
    assert_eq!((&data["sub"], &data["durable"]), (&json!("player"), &json!(false)), "{answer:?}");
    assert!(data["issued_before"].is_string() && data["until"].is_string() && data.get("jti").is_none(), "{data}");
    let answer = kept.ask_with("GET", "/v1/time", &[("authorization", &header)], "").await;
    assert_eq!((answer.status, &*answer.code()), (401, "TOKEN_REVOKED"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    is_closed_as_revoked(&mut gone).await;
    is_there(&mut stays).await;
    for token in [&old, &undated] {
        assert_eq!(asked(&guarded, token, "/v1/time").await, revoked());
    }
    assert_eq!(asked(&guarded, &other, "/v1/time").await, ok());
    let of_key = ask(&guarded.server, &backend(), "GET", "/v1/time", &Value::Null).await;
    assert_eq!(of_key.status, 200);
    // One that is made later counts: whoever hands out tokens decides.
    let new = token(&guarded.signer, "player", now_s() + 2, None);
    assert_eq!(asked(&guarded, &new, "/v1/time").await, ok());
    is_there(&mut watch(&guarded, &new, 1).await).await;
}

#[tokio::test]
async fn a_handshake_with_a_revoked_token_says_so_where_it_can_be_read() {
    let guarded = Guarded::start().await;
    let old = token(&guarded.signer, "player", now_s() - 60, None);
    revoke(&guarded, json!({"sub": "player", "session_id": id(1)})).await;
    let url = |n| format!("ws://{}/ws?sessionId={}", guarded.server.address(), id(n));
    let mut request = url(1).into_client_request().expect("a URL");
    request.headers_mut().insert("authorization", bearer(&old).parse().expect("it can stand in a header"));
    match tokio_tungstenite::connect_async(request).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => assert_eq!(answer.status().as_u16(), 401),
        other => panic!("{other:?}"),
    }
    let mut request = url(1).into_client_request().expect("a URL");
    let offer = format!("synckairos.v1, bearer.{old}");
    request.headers_mut().insert("sec-websocket-protocol", offer.parse().expect("it can stand in a header"));
    let (stream, _) = tokio_tungstenite::connect_async(request).await.expect("it shakes hands");
    is_closed_as_revoked(&mut Client { stream }).await;
    let mut says = Client::open(guarded.server.address(), &format!("?sessionId={}", id(1))).await;
    says.say(json!({"type": "AUTH", "token": old})).await;
    is_closed_as_revoked(&mut says).await;

    // Refused in place: the one before counts on.
    let new = token(&guarded.signer, "player", now_s() + 2, None);
    let mut client = watch(&guarded, &new, 1).await;
    client.say(json!({"type": "AUTH", "token": old})).await;
    assert_eq!(client.next_of("ERROR").await["code"], "INVALID_TOKEN");
    is_there(&mut client).await;
    is_there(&mut watch(&guarded, &old, 2).await).await;
}

#[tokio::test]
async fn a_token_is_revoked_by_its_name_whenever_it_was_made() {
    let guarded = Guarded::start().await;
    let named = |issued_s, name| token(&guarded.signer, "player", issued_s, Some(name));
    let (one, later, other) = (named(now_s() - 60, "one"), named(now_s() + 20, "one"), named(now_s() - 60, "other"));
    let (mut gone, mut stays) = (watch(&guarded, &one, 1).await, watch(&guarded, &other, 1).await);
    let answer = revoke(&guarded, json!({"jti": "one"})).await;
    assert_eq!(answer.json()["data"]["jti"], "one");
    is_closed_as_revoked(&mut gone).await;
    is_there(&mut stays).await;
    for (token, expected) in [(&one, revoked()), (&later, revoked()), (&other, ok())] {
        assert_eq!(asked(&guarded, token, "/v1/time").await, expected);
    }
}

#[tokio::test]
async fn in_one_session_a_subject_is_revoked_there_alone() {
    let guarded = Guarded::start().await;
    for n in [1, 2] {
        let answer = ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(&id(n), 60_000)).await;
        assert_eq!(answer.status, 201);
    }
    let path = |n| format!("/v1/sessions/{}", id(n));
    let old = token(&guarded.signer, "player", now_s() - 60, None);
    let (mut gone, mut stays) = (watch(&guarded, &old, 1).await, watch(&guarded, &old, 2).await);
    for client in [&mut gone, &mut stays] {
        assert_eq!(client.next().await["type"], "STATE_SYNC");
    }
    assert_eq!(asked(&guarded, &old, &path(1)).await, ok());
    revoke(&guarded, json!({"sub": "player", "session_id": id(1)})).await;
    is_closed_as_revoked(&mut gone).await;
    is_there(&mut stays).await;
    for (path, expected) in [(path(1), revoked()), (path(2), ok()), ("/v1/time".to_owned(), ok())] {
        assert_eq!(asked(&guarded, &old, &path).await, expected, "{path}");
    }
    let switch = ask(&guarded.server, &bearer(&old), "POST", &format!("{}/switch", path(1)), &json!({})).await;
    assert_eq!((switch.status, &*switch.code()), (401, "TOKEN_REVOKED"));
    // The same of a session that is not there.
    revoke(&guarded, json!({"sub": "player", "session_id": id(3)})).await;
    assert_eq!(asked(&guarded, &old, &path(3)).await, revoked());
    let created = ask(&guarded.server, &bearer(&old), "POST", "/v1/sessions", &two_players(&id(3), 60_000)).await;
    assert_eq!((created.status, &*created.code()), (401, "TOKEN_REVOKED"));
    let new = token(&guarded.signer, "player", now_s() + 2, None);
    assert_eq!(asked(&guarded, &new, &path(1)).await, ok());
}

#[tokio::test]
async fn instants_are_no_later_than_they_can_be() {
    let guarded = Guarded::start().await;
    let before = token(&guarded.signer, "player", now_s() - 60, None);
    let after = token(&guarded.signer, "player", now_s() - 20, None);
    revoke(&guarded, json!({"sub": "player", "issued_before": now_s() - 40})).await;
    assert_eq!(asked(&guarded, &before, "/v1/time").await, revoked());
    assert_eq!(asked(&guarded, &after, "/v1/time").await, ok());
    let far = json!({"sub": "other", "issued_before": now_s() + 3_600, "until": "2999-01-31T12:00:00Z"});
    let answer = revoke(&guarded, far).await.json();
    let told = |name: &str| test_support::instant::ms(&answer["data"][name]) / 1_000;
    assert!((now_s() - 30..=now_s()).contains(&told("issued_before")), "{answer}");
    assert!((now_s() + 86_370..=now_s() + 86_400).contains(&told("until")), "{answer}");
}

#[tokio::test]
async fn it_ends() {
    let guarded = Guarded::start().await;
    let [one, here] = ["one", "here"].map(|subject| token(&guarded.signer, subject, now_s() - 60, None));
    let until = now_s() + 2;
    revoke(&guarded, json!({"sub": "one", "until": until})).await;
    revoke(&guarded, json!({"sub": "here", "session_id": id(1), "until": until})).await;
    let path = format!("/v1/sessions/{}", id(1));
    assert_eq!(asked(&guarded, &one, "/v1/time").await, revoked());
    assert_eq!(asked(&guarded, &here, &path).await, revoked());
    wait::until("it is over", async || asked(&guarded, &one, "/v1/time").await == ok()).await;
    wait::until("it is over there", async || asked(&guarded, &here, &path).await.0 == 404).await;
}

#[tokio::test]
async fn nobody_but_a_key_that_may_revokes() {
    let guarded = Guarded::start().await;
    let of_token = token(&guarded.signer, "player", now_s() - 60, None);
    let admin = guarded.bearer("admin", &json!([{"sessions": ["*"], "allow": ["*", "admin"]}]));
    for (credential, status, code) in
        [("", 401, "UNAUTHENTICATED"), (&*admin, 403, "FORBIDDEN"), (&*bearer(&of_token), 403, "FORBIDDEN")]
    {
        let answer = ask(&guarded.server, credential, "POST", PATH, &json!({"sub": "player"})).await;
        assert_eq!((answer.status, &*answer.code()), (status, code), "{credential}");
    }
    assert_eq!(asked(&guarded, &of_token, "/v1/time").await, ok());
    // Where nobody is asked, nobody may: anybody could end what others are allowed.
    let open = Server::start().await;
    let answer = open.connect().await.ask("POST", PATH, r#"{"sub":"player"}"#).await;
    assert_eq!((answer.status, &answer.json()["error"]["details"]["needs"]), (403, &json!("admin")));

    for (body, field) in [
        (json!({}), "sub"),
        (json!({"sub": "player", "jti": "one"}), "jti"),
        (json!({"sub": "player", "address": "10.0.0.1"}), "address"),
        (json!({"sub": "player", "until": now_s()}), "until"),
        (json!({"sub": "player", "until": "soon"}), "until"),
        (json!({"sub": "a\u{202e}b"}), "sub"),
        (json!({"sub": "x".repeat(129)}), "sub"),
    ] {
        let answer = ask(&guarded.server, &backend(), "POST", PATH, &body).await;
        let problem = &answer.json()["error"]["details"][0]["field"];
        assert_eq!((answer.status, problem), (400, &json!(field)), "{body}: {answer:?}");
    }
    let wrong = guarded.server.connect().await.ask_with("POST", PATH, &[("authorization", &backend())], "{").await;
    assert_eq!((wrong.status, &*wrong.code()), (400, "INVALID_JSON"));
    assert_eq!(ask(&guarded.server, &backend(), "GET", PATH, &Value::Null).await.status, 405);
    assert_eq!(asked(&guarded, &of_token, "/v1/time").await, ok());
}

#[tokio::test]
async fn it_can_be_asked_for_where_operators_are_and_needs_a_key_there_too() {
    let guarded = Guarded::start_with(&[("ADMIN_ADDRESS", "127.0.0.1:0")], &json!({})).await;
    let old = token(&guarded.signer, "player", now_s() - 60, None);
    for (credential, status) in [("", 401), (&*bearer(&old), 403), (&*backend(), 201)] {
        assert_eq!(asked(&guarded, &old, "/v1/time").await, ok());
        let mut operator = Connection::open(guarded.server.admin_address()).await;
        let headers = [("authorization", credential)];
        let answer = operator.ask_with("POST", PATH, &headers, r#"{"sub":"player"}"#).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(asked(&guarded, &old, "/v1/time").await, revoked());
}

/// Of a server on a directory: what a token is answered with.
async fn answered(program: &Program, token: &str) -> u16 {
    let mut client = Connection::open(program.address).await;
    client.ask_with("GET", "/v1/time", &[("authorization", &bearer(token))], "").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_directory_it_outlives_the_process_and_is_in_its_backups() {
    let (directory, copy, keys) = (Directory::new(), Directory::new(), Directory::new());
    std::fs::create_dir_all(keys.path()).expect("it can be made");
    let (path, signer) = (keys.path().join("keys.json"), Signer::hs256(9));
    let file = json!({"keys": [key("backend"), signing_key("k1", &signer)]});
    std::fs::write(&path, file.to_string()).expect("it can be written");
    let path = path.to_str().expect("it is text");
    let start = |directory: &Directory| Program::start(&[("DATA_DIR", directory.text()), ("KEYS_FILE", path)]);
    let (gone, stays) = (token(&signer, "gone", now_s() - 60, None), token(&signer, "stays", now_s() - 60, None));

    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    let headers = [("authorization", &*backend())];
    let answer = client.ask_with("POST", PATH, &headers, r#"{"sub":"gone"}"#).await;
    assert_eq!((answer.status, &answer.json()["data"]["durable"]), (201, &json!(true)), "{answer:?}");
    let mut back_up = command();
    back_up.args(["backup", copy.text()]).env("DATA_DIR", directory.text());
    let done = tokio::task::spawn_blocking(move || output(&mut back_up)).await.expect("it ends well");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    program.child.kill().expect("it runs");
    program.ended().await;
    for place in [&directory, &copy] {
        let program = start(place);
        assert_eq!((answered(&program, &gone).await, answered(&program, &stays).await), (401, 200));
    }
}
