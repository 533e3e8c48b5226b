//! Who has not said who they are, or may not, costs Redis nothing and hears nothing of it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::task::block_in_place;

use test_support::http::{Answer, Connection};
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::tokens::{Signer, api_key, claims};
use test_support::ws::Client;

use super::{HOUR, instance_with};

/// An instance that asks who asks.
struct Closed {
    server: Server,
    signer: Signer,
}

impl Closed {
    async fn start(redis: &Redis) -> Self {
        let signer = Signer::hs256(9);
        let (key, _) = api_key("backend");
        let settings = [("API_KEY", &*key), ("TOKEN_SECRET", &signer.secret()), ("TOKEN_ALLOW", "*")];
        Self { server: instance_with(&redis.url(), &settings).await, signer }
    }

    /// The token of somebody who may do something in one session.
    fn token(&self, allow: &[&str]) -> String {
        let grants = json!([{"sessions": [id(1)], "allow": allow}]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later");
        self.signer.token("token-secret", &claims("somebody", now.as_secs() + 600, &grants))
    }

    async fn ask(&self, bearer: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut client: Connection = self.server.connect().await;
        client.ask_with(method, path, &[("authorization", bearer)], body).await
    }

    /// A session that runs.
    async fn begin(&self, n: u64) {
        let created = self.ask(&backend(), "POST", "/v1/sessions", &two_players(&id(n), HOUR).to_string()).await;
        assert_eq!(created.status, 201, "{created:?}");
        let path = format!("/v1/sessions/{}/start", id(n));
        assert_eq!(self.ask(&backend(), "POST", &path, "").await.status, 200);
    }

    async fn join(&self, headers: &[(&'static str, &str)]) -> Client {
        Client::open_with(self.server.address(), &format!("?sessionId={}", id(1)), headers).await
    }
}

fn backend() -> String {
    format!("Bearer {}", api_key("backend").0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_session_reach_nobody_who_is_unknown() {
    let redis = Redis::start();
    let closed = Closed::start(&redis).await;
    closed.begin(1).await;
    let channel = format!("ws:{}", id(1));
    let hearing = || -> (String, u64) {
        let mut question = redis::cmd("PUBSUB");
        question.arg("NUMSUB").arg(&channel).query(&mut redis.connect()).expect("it answers")
    };
    let publish = |text: &str| {
        let envelope = json!({"sessionId": id(1), "message": {"type": "CHAT", "text": text}, "timestamp": 1});
        let mut message = redis::cmd("PUBLISH");
        message.arg(&channel).arg(envelope.to_string()).exec(&mut redis.connect()).expect("it is up");
    };
    let mut waiting = closed.join(&[]).await;
    let mut forbidden = closed.join(&[]).await;
    forbidden.say(json!({"type": "AUTH", "token": closed.token(&["read", "switch"])})).await;
    assert_eq!(u16::from(forbidden.closed().await.code), 4503);
    assert_eq!(hearing().1, 0, "nobody subscribes for them");

    let mut watching = closed.join(&[("authorization", &backend())]).await;
    watching.next_of("STATE_SYNC").await;
    assert_eq!(hearing().1, 1);
    publish("one");
    assert_eq!(watching.next().await["text"], "one");
    // What it is told first is what all are who join: nothing was kept for it.
    waiting.say(json!({"type": "AUTH", "token": closed.token(&["watch"])})).await;
    assert_eq!(waiting.next().await["type"], "CONNECTED");
    assert_eq!(waiting.next().await["type"], "STATE_SYNC");
    publish("two");
    for client in [&mut watching, &mut waiting] {
        assert_eq!(client.next_of("CHAT").await["text"], "two");
    }
}

/// What Redis is asked, as it shows it.
struct Monitor(BufReader<TcpStream>);

impl Monitor {
    fn start(redis: &Redis) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(b"MONITOR\r\n").expect("it reads");
        let mut monitor = Self(BufReader::new(stream));
        assert_eq!(monitor.line(), "+OK\r\n");
        monitor
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it goes on");
        line
    }

    /// All that it was asked until something names `end`.
    fn until(&mut self, end: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains(end)) {
            lines.push(self.line());
        }
        lines
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_refused_without_a_question() {
    let redis = Redis::start();
    let closed = Closed::start(&redis).await;
    closed.begin(1).await;
    closed.begin(2).await;
    let (there, missing, end) = (id(2), id(3), id(4));
    let mut monitor = block_in_place(|| Monitor::start(&redis));
    let stranger = format!("Bearer {}", closed.token(&["*"]));
    let switch = json!({"current_participant_id": test_support::sessions::participant(0)}).to_string();
    for session in [&there, &missing] {
        let path = format!("/v1/sessions/{session}");
        for (method, action, body) in [
            ("GET", "", ""),
            ("HEAD", "", ""),
            ("DELETE", "", ""),
            ("PATCH", "", "{}"),
            ("POST", "/start", ""),
            ("POST", "/switch", &*switch),
            ("GET", "/events", ""),
        ] {
            for (bearer, status) in [(&*stranger, 403), ("Bearer a.b.c", 401), ("Basic x", 401)] {
                let answer = closed.ask(bearer, method, &format!("{path}{action}"), body).await;
                assert_eq!(answer.status, status, "{method} {action}");
            }
        }
        let create = two_players(session, HOUR).to_string();
        assert_eq!(closed.ask(&stranger, "POST", "/v1/sessions", &create).await.status, 403);
    }
    assert_eq!(closed.ask(&backend(), "GET", &format!("/v1/sessions/{end}"), "").await.status, 404);
    let asked = block_in_place(|| monitor.until(&end));
    for line in &asked {
        assert!(!line.contains(&there) && !line.contains(&missing), "{line}");
    }
}
