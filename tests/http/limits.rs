//! Rate limits and size limits: switches of a session, requests of an address, sessions, bodies.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::wait;

const HOUR: u64 = 3_600_000;

/// The value of a series.
fn series(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    line.trim().parse().expect("a number")
}

/// The headers of a limit, the seconds until its window ends aside.
fn assert_limit(answer: &Answer, max: u32, window_s: u32, remaining: u32, what: &str) {
    for (name, value) in [
        ("ratelimit-policy", format!("{max};w={window_s}")),
        ("ratelimit-limit", max.to_string()),
        ("ratelimit-remaining", remaining.to_string()),
    ] {
        assert_eq!(answer.header(name), Some(&*value), "{what}: {answer:?}");
    }
    let reset: u32 = answer.header("ratelimit-reset").and_then(|reset| reset.parse().ok()).expect("whole seconds");
    assert!(reset <= window_s, "{what}: {answer:?}");
}

fn assert_no_limit(answer: &Answer, what: &str) {
    let limits = answer.headers.iter().filter(|(name, _)| name.starts_with("ratelimit-"));
    assert_eq!(limits.count(), 0, "{what}: {answer:?}");
}

fn assert_refused(answer: &Answer, message: &str, retry_after_s: u32, what: &str) {
    let error = json!({"code": "RATE_LIMIT_EXCEEDED", "message": message, "retry_after_seconds": retry_after_s});
    assert_eq!((answer.status, answer.json()), (429, json!({ "error": error })), "{what}");
    assert_eq!(answer.header("retry-after"), Some(&*retry_after_s.to_string()), "{what}: {answer:?}");
}

const TOO_MANY_SWITCHES: &str = "Too many cycle switches for this session, please slow down";
const TOO_MANY_REQUESTS: &str = "Too many requests, please try again later";

/// Requests in one piece, so that they fall into one window of a second if anything does.
async fn burst(client: &mut Connection, method: &str, path: &str, bodies: &[&str]) -> Vec<Answer> {
    let mut requests = String::new();
    for body in bodies {
        requests += &format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
    client.send(requests.as_bytes()).await;
    let mut answers = Vec::new();
    for _ in bodies {
        answers.push(client.answer(false).await.expect("it is answered"));
    }
    answers
}

/// Bursts on sessions of their own, from `id(first)` on, until the last request of one is too many: no window
/// has ended in the middle of it.
async fn whole_burst(client: &mut Connection, first: u64, create: bool, bodies: &[&str]) -> Vec<Answer> {
    let mut n = first;
    let mut answers = Vec::new();
    wait::until("a burst falls into one window", async || {
        if create {
            client.create(&two_players(&id(n), HOUR)).await;
            client.post(&id(n), "start", &Value::Null).await;
        }
        answers = burst(client, "POST", &format!("/v1/sessions/{}/switch", id(n)), bodies).await;
        n += 1;
        answers.last().is_some_and(|last| last.status == 429)
    })
    .await;
    answers
}

#[tokio::test]
async fn switches_of_a_session_are_limited() {
    let server = Server::start_with(&[("RATE_LIMIT_SWITCH", "3")]).await;
    let mut client = server.connect().await;
    let answers = whole_burst(&mut client, 1, true, &["{}"; 5]).await;
    for (n, answer) in answers.iter().enumerate() {
        let what = format!("switch {n}");
        if n < 3 {
            assert_eq!(answer.json()["data"]["version"], 3 + n, "{what}");
            assert_limit(answer, 3, 1, 2 - n as u32, &what);
            assert_eq!(answer.header("retry-after"), None, "{what}");
        } else {
            assert_refused(answer, TOO_MANY_SWITCHES, 1, &what);
            assert_limit(answer, 3, 1, 0, &what);
        }
    }
    // Another session has a limit of its own, other commands have none, and the window ends.
    client.create(&two_players(&id(2_000), HOUR)).await;
    assert_no_limit(&client.ask("POST", &format!("/v1/sessions/{}/start", id(2_000)), "").await, "start");
    assert_eq!(client.post(&id(2_000), "switch", &Value::Null).await["version"], 3);
    let path = format!("/v1/sessions/{}/switch", id(1));
    let served = async || client.ask("POST", &path, "").await.status == 200;
    wait::until("the window ends", served).await;
}

/// After validation, and what is refused is not.
#[tokio::test]
async fn a_switch_is_counted_when_it_is_valid_and_not_refused() {
    let server = Server::start_with(&[("RATE_LIMIT_SWITCH", "2")]).await;
    let mut client = server.connect().await;
    let stranger = json!({"next_participant_id": participant(9)}).to_string();
    let bodies = ["{", "{\"expected_version\":0}", &stranger, "{\"expected_version\":9}", "{}", "{", "{}", "{}"];
    let answers = whole_burst(&mut client, 1, true, &bodies).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [400, 400, 400, 409, 200, 400, 200, 429], "{answers:?}");
    let remaining = [None, None, Some(2), Some(2), Some(1), None, Some(0), Some(0)];
    for (n, remaining) in remaining.into_iter().enumerate() {
        match remaining {
            Some(remaining) => assert_limit(&answers[n], 2, 1, remaining, bodies[n]),
            None => assert_no_limit(&answers[n], bodies[n]),
        }
    }

    let answers = whole_burst(&mut client, 1_000, false, &["{}"; 11]).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses[..10], [404; 10], "{answers:?}");
    assert_limit(&answers[9], 2, 1, 2, "a switch that finds nothing");
    assert_refused(&answers[10], TOO_MANY_SWITCHES, 1, "one address is refused so often and no more");
    assert_limit(&answers[10], 10, 1, 0, "it is shown that limit");

    let answers = burst(&mut client, "POST", "/v1/sessions/1/switch", &["{}"; 4]).await;
    assert!(answers.iter().all(|answer| answer.status == 400), "there is nothing to count by: {answers:?}");
}

/// Not even when both sit behind one address.
#[tokio::test]
async fn a_player_who_switches_too_late_limits_no_other() {
    let server = Server::start_with(&[("RATE_LIMIT_SWITCH", "10")]).await;
    let mut client = server.connect().await;
    let (late, in_time) = (participant(1), participant(0));
    let press = |who: &str| json!({ "current_participant_id": who }).to_string();
    let (late, in_time) = (press(&late), press(&in_time));
    let mut bodies = vec![late.as_str(); 12];
    bodies.insert(0, &in_time);
    bodies.push(&in_time);
    let bodies = [&bodies[1..], &["{}"; 11]].concat();
    let answers = whole_burst(&mut client, 1, true, &bodies).await;
    let statuses: Vec<_> = answers[..13].iter().map(|answer| answer.status).collect();
    assert_eq!(statuses[..10], [409; 10], "{answers:?}");
    assert_eq!(statuses[10..], [429, 429, 200], "{answers:?}");
    assert_limit(&answers[12], 10, 1, 9, "it is the first that counts");

    // The same over WebSocket.
    client.create(&two_players(&id(5_000), HOUR)).await;
    client.post(&id(5_000), "start", &Value::Null).await;
    let mut peer = test_support::ws::Client::join(server.address(), &id(5_000)).await;
    let mut order = async |who: u64| {
        let press = json!({"type": "SWITCH", "request_id": "1", "current_participant_id": participant(who)});
        peer.order(press).await["status"].as_u64()
    };
    wait::until("a late press is one too many", async || order(1).await == Some(429)).await;
    assert_eq!(order(0).await, Some(200));
}

#[tokio::test]
async fn no_limit_is_no_limit() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.post(&id(1), "start", &Value::Null).await;
    for answer in burst(&mut client, "POST", &format!("/v1/sessions/{}/switch", id(1)), &["{}"; 100]).await {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_no_limit(&answer, "switch");
    }
}

/// A window lasts a minute, so none ends while this runs.
#[tokio::test]
async fn requests_of_an_address_are_limited() {
    let server = Server::start_with(&[("RATE_LIMIT_GENERAL", "8"), ("RATE_LIMIT_SWITCH", "5")]).await;
    let mut client = server.connect().await;
    let path = format!("/v1/sessions/{}", id(1));
    let switch = format!("{path}/switch");
    let session = two_players(&id(1), HOUR).to_string();
    let free = ["/health", "/ready", "/api-docs", "/api-docs.json"];
    for (n, (method, path, body, status)) in (1..).zip([
        ("POST", "/v1/sessions", &*session, 201),
        ("GET", &path, "", 200),
        ("POST", "/v1/sessions", "{", 400),
        ("POST", &switch, "", 400),
        ("GET", "/nowhere", "", 404),
        ("PUT", "/v1/time", "", 405),
        ("GET", "/ws", "", 426),
        ("HEAD", "/v1/time", "", 200),
    ]) {
        let answer = client.ask(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        if path == switch {
            assert_limit(&answer, 5, 1, 5, "a switch shows its own limit, which what is refused does not use up");
        } else {
            assert_limit(&answer, 8, 60, 8 - n, &format!("{method} {path}"));
        }
        for path in free {
            let answer = client.ask("GET", path, "").await;
            assert_eq!(answer.status, 200, "{path}");
            assert_no_limit(&answer, path);
        }
        assert_no_limit(&client.ask("PUT", "/health", "").await, "a wrong method of a free path");
        assert_no_limit(&client.ask("OPTIONS", path, "").await, "a preflight");
    }
    // On another connection as well: it is the address that counts.
    for mut client in [client, server.connect().await] {
        for (method, path) in
            [("GET", &*path), ("POST", &switch), ("GET", "/nowhere"), ("PUT", "/v1/time"), ("GET", "/ws")]
        {
            let what = format!("{method} {path}");
            let answer = client.ask(method, path, "").await;
            assert_refused(&answer, TOO_MANY_REQUESTS, 60, &what);
            assert_limit(&answer, 8, 60, 0, &what);
        }
        for path in free {
            assert_eq!(client.ask("GET", path, "").await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn sessions_take_only_so_much_memory() {
    let server = Server::start_with(&[("MAX_SESSIONS_BYTES", "1048576")]).await;
    let mut client = server.connect().await;
    let large = |n: u64| {
        let entry = |place: u64| json!({"participant_id": participant(place), "participant_index": place, "total_time_ms": HOUR});
        let mut session = two_players(&id(n), HOUR);
        session["participants"] = (0..500).map(entry).collect();
        session.to_string()
    };
    let mut held = 0;
    let refused = loop {
        let answer = client.ask("POST", "/v1/sessions", &large(held)).await;
        if answer.status != 201 {
            break answer;
        }
        held += 1;
    };
    assert!((2..8).contains(&held), "{held} large sessions in 1 MiB");
    assert_eq!((refused.status, refused.code()), (503, "UNAVAILABLE".to_owned()), "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"), "{refused:?}");
    client.create(&two_players(&id(100), HOUR)).await;
    assert_eq!(client.post(&id(0), "start", &Value::Null).await["version"], 2, "those that are there go on");
    let metrics = client.ask("GET", "/metrics", "").await.body;
    assert_eq!(series(&metrics, r#"synckairos_bounds_refused_total{bound="sessions_bytes"}"#), 1.0);
    assert!(series(&metrics, "synckairos_sessions_bytes") < 1_048_576.0);
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(0)), "").await.status, 204);
    assert_eq!(client.ask("POST", "/v1/sessions", &large(200)).await.status, 201, "there is room again");
}

#[tokio::test]
async fn bodies_on_their_way_take_only_so_much_memory() {
    let server = Server::start_with(&[("MAX_BODIES_BYTES", "4194304")]).await;
    let mut probe = server.connect().await;
    // More is announced than comes: the server waits for the rest, and holds what it has.
    let mut waiting = Vec::new();
    for _ in 0..14 {
        let mut raw = tokio::net::TcpStream::connect(server.address()).await.expect("it listens");
        let head = "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
        raw.write_all(head.as_bytes()).await.expect("it reads");
        raw.write_all(&[b' '; 200_000]).await.expect("it reads");
        waiting.push(raw);
    }
    let long = format!("{}{}", " ".repeat(900_000), two_players(&id(1), HOUR));
    let held = async |probe: &mut Connection| {
        let metrics = probe.ask("GET", "/metrics", "").await.body;
        series(&metrics, "synckairos_bodies_bytes")
    };
    wait::until("they are held", async || held(&mut probe).await >= 3_500_000.0).await;
    let mut client = server.connect().await;
    let answer = client.ask("POST", "/v1/sessions", &long).await;
    assert_eq!((answer.status, answer.code()), (503, "UNAVAILABLE".to_owned()), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    probe.create(&two_players(&id(2), HOUR)).await;
    drop(waiting);
    wait::until("room is given back", async || held(&mut probe).await == 0.0).await;
    let mut client = server.connect().await;
    assert_eq!(client.ask("POST", "/v1/sessions", &long).await.status, 201);
    assert_eq!(held(&mut probe).await, 0.0);
}

#[tokio::test]
async fn there_are_only_so_many_sessions() {
    let server = Server::start_with(&[("MAX_SESSIONS", "2")]).await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), HOUR)).await;
    client.create(&two_players(&id(2), HOUR)).await;
    let third = two_players(&id(3), HOUR).to_string();
    let answer = client.ask("POST", "/v1/sessions", &third).await;
    assert_eq!((answer.status, answer.code()), (503, "UNAVAILABLE".to_owned()), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    assert_eq!(client.ask("GET", &format!("/v1/sessions/{}", id(3)), "").await.status, 404);

    let again = client.ask("POST", "/v1/sessions", &two_players(&id(1), HOUR).to_string()).await;
    assert_eq!(again.status, 409, "one that is there is not in want of room: {again:?}");
    assert_eq!(client.post(&id(1), "start", &Value::Null).await["version"], 2, "those that are there go on");
    assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(2)), "").await.status, 204);
    assert_eq!(client.ask("POST", "/v1/sessions", &third).await.status, 201, "there is room again");
}
