//! States of other versions in Redis: of version 1, corrupt ones, and those of a newer server.

use serde_json::Value;
use synckairos::wire;

use test_support::http::Connection;
use test_support::postgres::Database;
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::{HOUR, instance, instance_with};

fn leave(redis: &Redis, n: u64, value: &[u8]) {
    redis::cmd("SET").arg(format!("session:{}", id(n))).arg(value).exec(&mut redis.connect()).expect("it answers");
}

fn kept(redis: &Redis, n: u64) -> Option<Vec<u8>> {
    redis::cmd("GET").arg(format!("session:{}", id(n))).query(&mut redis.connect()).expect("it answers")
}

fn path(n: u64) -> String {
    format!("/v1/sessions/{}", id(n))
}

#[tokio::test]
async fn what_version_1_left_is_read_and_goes_on() {
    let redis = Redis::start();
    let instance = instance(&redis.url()).await;
    let mut client = Connection::open(instance.address()).await;
    let fixture = |name: &str| {
        std::fs::read_to_string(format!("tests/fixtures/redis/version_1/{name}.json")).expect("it is there")
    };
    // The clock of `paused` stands; that of `running` ran out long ago.
    for (n, name) in [(1, "running"), (2, "pending"), (3, "groups"), (5, "expired")] {
        leave(&redis, n, fixture(name).trim().replace("00000000-0000-4000-8000-00000000000", &id(n)[..35]).as_bytes());
    }
    let pending = client.ask("GET", &path(2), "").await;
    assert_eq!(pending.status, 200, "{pending:?}");
    let state = &pending.json()["data"];
    assert_eq!(
        (&state["status"], &state["version"], &state["on_timeout"]),
        (&"pending".into(), &1.into(), &"expire".into())
    );
    assert_eq!(client.post(&id(2), "start", &Value::Null).await["version"], 2);
    let paused = client.post(&id(3), "resume", &Value::Null).await;
    assert_eq!((&paused["status"], &paused["version"]), (&"running".into(), &4.into()));
    let over = client.ask("GET", &path(1), "").await.json()["data"].clone();
    assert_eq!(
        (&over["status"], &over["session_completed_at"]),
        (&"expired".into(), &"2026-01-31T12:05:00.000Z".into())
    );
    assert_eq!(client.ask("GET", &path(5), "").await.json()["data"]["status"], "expired");
    assert!(kept(&redis, 2).is_some_and(|value| value.starts_with(br#"{"_":"#)), "what is changed is kept as ours");
    assert_eq!(client.ask("DELETE", &path(3), "").await.status, 204);
}

#[tokio::test]
async fn what_2_0_0_left_is_read_and_goes_on() {
    let redis = Redis::start();
    let instance = instance(&redis.url()).await;
    let mut client = Connection::open(instance.address()).await;
    for n in 1..=3 {
        let value = std::fs::read(format!("tests/fixtures/redis/version_2_0_0/state_{n}.json")).expect("it is there");
        let key = format!("session:00000000-0000-4000-8000-00000000000{n}");
        redis::cmd("SET").arg(key).arg(value.trim_ascii()).exec(&mut redis.connect()).expect("it answers");
    }
    for (n, resumed) in [(1, 5), (2, 4)] {
        let path = format!("/v1/sessions/00000000-0000-4000-8000-00000000000{n}");
        let state = client.ask("GET", &path, "").await.json()["data"].clone();
        assert_eq!((&state["status"], &state["metadata"]["table"]), (&"paused".into(), &7.into()));
        let answer = client.ask("POST", &format!("{path}/resume"), "").await;
        assert_eq!((answer.status, &answer.json()["data"]["version"]), (200, &resumed.into()));
    }
    let deleted = client.ask("GET", "/v1/sessions/00000000-0000-4000-8000-000000000003", "").await;
    assert_eq!(deleted.status, 404);
}

#[tokio::test]
async fn a_corrupt_state_can_be_replaced_and_deleted() {
    let redis = Redis::start();
    let instance = instance(&redis.url()).await;
    let mut client = Connection::open(instance.address()).await;
    for (n, garbage) in [(1, &b"garbage"[..]), (2, br#"{"session_id":"x"}"#), (3, b"\xff\xfe"), (4, b"")] {
        leave(&redis, n, garbage);
        for (method, rest, body) in
            [("GET", "", ""), ("POST", "/start", ""), ("POST", "/switch", ""), ("PATCH", "", "{}")]
        {
            let answer = client.ask(method, &format!("{}{rest}", path(n)), body).await;
            assert_eq!((answer.status, answer.code().as_str()), (500, "STATE_DESERIALIZATION_ERROR"), "{method} {n}");
        }
        assert_eq!(kept(&redis, n).as_deref(), Some(garbage), "what is refused changes nothing");
        assert_eq!(client.ask("DELETE", &path(n), "").await.status, 204);
        assert_eq!(kept(&redis, n), None);
        assert_eq!(client.ask("GET", &path(n), "").await.status, 404);
        leave(&redis, n, garbage);
        let state = client.create(&two_players(&id(n), HOUR)).await;
        assert_eq!(state["version"], 1);
        assert_eq!(client.post(&id(n), "start", &Value::Null).await["version"], 2);
    }
}

#[tokio::test]
async fn what_a_newer_server_wrote_is_left_alone() {
    let redis = Redis::start();
    let instance = instance(&redis.url()).await;
    let mut client = Connection::open(instance.address()).await;
    let newer = [&[wire::FORMATS.end() + 1], &b"whatever it may be"[..]].concat();
    leave(&redis, 1, &newer);
    let creation = two_players(&id(1), HOUR).to_string();
    for (method, rest, body) in [
        ("GET", "", ""),
        ("POST", "/start", ""),
        ("PATCH", "", "{}"),
        ("DELETE", "", ""),
        ("CREATE", "", creation.as_str()),
    ] {
        let answer = match method {
            "CREATE" => client.ask("POST", "/v1/sessions", body).await,
            _ => client.ask(method, &format!("{}{rest}", path(1)), body).await,
        };
        assert_eq!((answer.status, answer.code().as_str()), (503, "UPGRADE_IN_PROGRESS"), "{method}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{method}");
    }
    assert_eq!(kept(&redis, 1), Some(newer));
}

#[tokio::test]
async fn a_new_format_is_written_when_everybody_reads_it() {
    let redis = Redis::start();
    let first = instance_with(&redis.url(), &[("RECORD_FORMAT", "2")]).await;
    let second = instance(&redis.url()).await;
    let (mut one, mut other) = (Connection::open(first.address()).await, Connection::open(second.address()).await);
    one.create(&two_players(&id(1), HOUR)).await;
    wait::until("it is written in format 2", async || {
        one.ask("PATCH", &path(1), &format!(r#"{{"increment_ms":{}}}"#, rand())).await;
        kept(&redis, 1).is_some_and(|value| value[0] == 2)
    })
    .await;
    let version = other.post(&id(1), "start", &Value::Null).await["version"].clone();
    assert!(kept(&redis, 1).is_some_and(|value| value[0] == b'{'), "who was not told writes format 1");
    assert_eq!(one.ask("GET", &path(1), "").await.json()["data"]["version"], version);
    // Somebody who reads format 1 alone is there now.
    let mut connection = redis.connect();
    redis::cmd("SET")
        .arg("instance:old")
        .arg("name old\nversion 2.0.1\nformats_max 1\n")
        .exec(&mut connection)
        .expect("ok");
    redis::cmd("ZADD").arg("instances").arg(1).arg("old").exec(&mut connection).expect("ok");
    wait::until("it is written in format 1 again", async || {
        one.ask("PATCH", &path(1), &format!(r#"{{"increment_ms":{}}}"#, rand())).await;
        kept(&redis, 1).is_some_and(|value| value[0] == b'{')
    })
    .await;
}

/// Who does not know time controls never meets a session that has one.
#[tokio::test]
async fn a_time_control_is_created_when_everybody_reads_it_and_then_has_a_format_of_its_own() {
    let redis = Redis::start();
    let instance = instance_with(&redis.url(), &[("RECORD_FORMAT", "2")]).await;
    let mut client = Connection::open(instance.address()).await;
    let creation = |n: u64| {
        let mut body = two_players(&id(n), HOUR);
        body["time_control"] = "5+3".into();
        body
    };
    wait::until("its lease says what it reads", async || {
        client.ask("POST", "/v1/sessions", &creation(1).to_string()).await.status == 201
    })
    .await;
    assert_eq!(kept(&redis, 1).map(|value| value[0]), Some(3));
    // Somebody who reads format 2, but none with time controls, is there now.
    let mut connection = redis.connect();
    let lease = "name old\nversion 2.1.0\nformats_max 2\n";
    redis::cmd("SET").arg("instance:old").arg(lease).exec(&mut connection).expect("ok");
    redis::cmd("ZADD").arg("instances").arg(1).arg("old").exec(&mut connection).expect("ok");
    let mut n = 2;
    wait::until("the other one is known", async || {
        n += 1;
        let answer = client.ask("POST", "/v1/sessions", &creation(n).to_string()).await;
        assert!(answer.status == 201 || answer.code() == "UPGRADE_IN_PROGRESS", "{answer:?}");
        answer.status == 503
    })
    .await;
    client.create(&two_players(&id(2), HOUR)).await;
    assert_eq!(client.post(&id(1), "start", &Value::Null).await["version"], 2, "what is there goes on");
    assert_eq!(kept(&redis, 1).map(|value| value[0]), Some(3));
}

/// Another number each time, so that a change is one.
fn rand() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 60_000
}

#[tokio::test]
async fn who_differs_from_those_that_were_there_is_not_ready() {
    let redis = Redis::start();
    let _first = instance(&redis.url()).await;
    let own = async || -> Vec<String> {
        redis::cmd("KEYS").arg("instance:*").query(&mut redis.connect()).expect("it answers")
    };
    wait::until("the first has its lease", async || own().await.len() == 1).await;
    let key = own().await.remove(0);
    let text: String = redis::cmd("GET").arg(&key).query(&mut redis.connect()).expect("it answers");
    assert!(text.contains("equal.AUDIT off\n") && text.contains("equal.PARTITIONS 1\n"), "{text}");
    // As if it had been started with an audit, and then the next one without.
    let mut connection = redis.connect();
    let other = text.replace("equal.AUDIT off", "equal.AUDIT on");
    redis::cmd("SETEX").arg("instance:audited").arg(60).arg(other).exec(&mut connection).expect("ok");
    redis::cmd("ZADD").arg("instances").arg(1).arg("audited").exec(&mut connection).expect("ok");
    let url = redis.url();
    // It does not get ready.
    let second = Server::start_with(&[("REDIS_URL", url.as_str()), ("AUDIT", "off")]).await;
    let mut client = Connection::open(second.address()).await;
    wait::until("it says so", async || {
        let answer = client.ask("GET", "/ready", "").await;
        answer.status == 503 && answer.body.contains("AUDIT is off here and on there")
    })
    .await;
    redis::cmd("DEL").arg("instance:audited").exec(&mut connection).expect("ok");
    wait::until("it is ready again", async || client.ask("GET", "/ready", "").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_audits_into_another_database_is_not_ready() {
    let redis = Redis::start();
    let databases = tokio::task::spawn_blocking(|| [Database::create(), Database::create()]);
    let [one, other] = databases.await.expect("it does not panic");
    let ready = async |database: &Database| {
        let server = Server::start_with(&[("REDIS_URL", &redis.url()), ("DATABASE_URL", &database.url())]).await;
        let client = Connection::open(server.address()).await;
        (server, client)
    };
    let (first_server, mut first) = ready(&one).await;
    wait::until("the first is ready", async || first.ask("GET", "/ready", "").await.body.contains("\"ready\"")).await;
    let named = async || -> Vec<String> {
        let mut connection = redis.connect();
        let leases: Vec<String> = redis::cmd("KEYS").arg("instance:*").query(&mut connection).expect("it answers");
        redis::cmd("MGET").arg(leases).query(&mut connection).expect("it answers")
    };
    wait::until("its lease names its database", async || {
        named().await.iter().any(|lease| lease.contains("equal.DATABASE_URL "))
    })
    .await;
    let (_second, mut second) = ready(&other).await;
    wait::until("the second says so", async || {
        let answer = second.ask("GET", "/ready", "").await;
        answer.status == 503 && answer.body.contains("DATABASE_URL is ")
    })
    .await;
    let (_third, mut third) = ready(&one).await;
    // Until then it could not differ.
    wait::until("its lease names its database, too", async || {
        named().await.iter().filter(|lease| lease.contains("equal.DATABASE_URL ")).count() == 3
    })
    .await;
    wait::until("who has the same is ready", async || third.ask("GET", "/ready", "").await.status == 200).await;
    // The one that differs does not become the one that decides.
    drop((first, first_server));
    wait::until("the first is gone", async || named().await.len() == 2).await;
    let latest = async || -> u64 {
        let mut connection = redis.connect();
        let last: Vec<(String, u64)> =
            redis::cmd("ZRANGE").arg("instances").arg(&[-1, -1]).arg("WITHSCORES").query(&mut connection).expect("ok");
        last[0].1
    };
    let gone_at = latest().await;
    wait::until("both have looked again", async || latest().await >= gone_at + 8).await;
    assert_eq!(third.ask("GET", "/ready", "").await.status, 200);
    assert_eq!(second.ask("GET", "/ready", "").await.status, 503);
}
