//! Keys of a wrong type: they harm only what needs them, until they are mended; a Redis without room still serves reads and
//! deletions.

use redis::Commands;
use serde_json::Value;

use test_support::http::Connection;
use test_support::program::{Program, command};
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::{HOUR, instance, instance_with, program, ready, start, switch};

/// An instance whose changes are queued to be written down, by nobody.
async fn audited(redis: &Redis, settings: &[(&str, &str)]) -> Server {
    let url = redis.url();
    let audit = [("REDIS_URL", url.as_str()), ("AUDIT", "on"), ("DATABASE_URL", "postgres://127.0.0.1:1/none")];
    let server = Server::start_with(&[&audit, settings].concat()).await;
    ready(server.address()).await;
    server
}

/// Status and words of `/ready`.
async fn readiness(client: &mut Connection) -> (u16, String) {
    let answer = client.ask("GET", "/ready", "").await;
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn ask(redis: &Redis, command: &[&str]) {
    let mut parts = redis::cmd(command[0]);
    parts.arg(&command[1..]).exec(&mut redis.connect()).expect("it answers");
}

/// Takes a key away for a while; the queue's agents may have taken what was there.
fn set_aside(redis: &Redis, key: &str) {
    let _ = redis::cmd("RENAME").arg(key).arg("aside").exec(&mut redis.connect());
}

/// Puts it back in the place of whatever is there.
fn put_back(redis: &Redis, key: &str) {
    let mut connection = redis.connect();
    connection.del::<_, ()>(key).expect("it answers");
    let _ = redis::cmd("RENAME").arg("aside").arg(key).exec(&mut connection);
}

/// The names of two sessions in different partitions, and the tag of the first one's.
async fn apart(redis: &Redis, client: &mut Connection) -> (u64, u64, String) {
    for n in 0..20 {
        start(client, n, HOUR).await;
    }
    let tag = |n: u64| {
        let keys: Vec<String> = redis.connect().keys(format!("session:*{}", id(n))).expect("it answers");
        keys[0].split(':').nth(1).expect("a tag").to_owned()
    };
    let other = (1..20).find(|n| tag(*n) != tag(0)).expect("there are two partitions");
    (0, other, tag(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_written_to_harms_only_who_shares_it_and_only_while_it_is_so() {
    let redis = Redis::start();
    let server = audited(&redis, &[("PARTITIONS", "2")]).await;
    let mut client = server.connect().await;
    let (harmed, other, tag) = apart(&redis, &mut client).await;
    let queue = |part: &str| format!("db-writes:{tag}:{part}");
    let cases: [(String, &[&str]); 8] = [
        (queue("bytes"), &["SET", "abc"]),
        (queue("bytes"), &["SET", "18446744073709551615"]),
        (queue("bytes"), &["SET", "9223372036854775807"]),
        (queue("bytes"), &["SET", "+1"]),
        (queue("bytes"), &["LPUSH", "x"]),
        (queue("wait"), &["SET", "x"]),
        (queue("pending"), &["SET", "x"]),
        (format!("deadlines:{tag}"), &["SET", "x"]),
    ];
    for (key, spoil) in cases {
        set_aside(&redis, &key);
        ask(&redis, &[&[spoil[0], &key], &spoil[1..]].concat());
        wait::until("it is noticed", async || {
            let answer = switch(&mut client, harmed).await;
            assert!(matches!(answer.status, 200 | 500 | 503), "{answer:?}");
            let noticed = answer.status == 503;
            assert_eq!(switch(&mut client, other).await.status, 200, "{key} is none of its own");
            noticed
        })
        .await;
        let (status, why) = readiness(&mut client).await;
        assert!(status == 200 && why.contains("1 of 2 partitions"), "{status} {why}");
        assert_eq!(client.read(&id(harmed)).await["status"], "running", "it can be read");
        put_back(&redis, &key);
        wait::until("it is noticed that it was mended", async || {
            assert_eq!(switch(&mut client, other).await.status, 200);
            !readiness(&mut client).await.1.contains("partitions")
        })
        .await;
        let answer = switch(&mut client, harmed).await;
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
    }
}

/// Whoever looks at `/ready` learns everything that is wrong at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_causes_that_there_are_at_once_are_named() {
    let redis = Redis::start();
    let server = audited(&redis, &[("PARTITIONS", "2")]).await;
    let mut client = server.connect().await;
    let (harmed, _, tag) = apart(&redis, &mut client).await;
    let key = format!("db-writes:{tag}:pending");
    set_aside(&redis, &key);
    ask(&redis, &["SET", &key, "x"]);
    wait::until("the key is noticed", async || switch(&mut client, harmed).await.status == 503).await;
    ask(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    wait::until("both are named", async || {
        let body = client.ask("GET", "/ready", "").await.json();
        let causes = body["causes"].as_array().cloned().unwrap_or_default();
        let of_store = causes.iter().filter(|cause| cause["component"] == "store");
        let of_store: Vec<_> = of_store.filter_map(|cause| cause["error"].as_str()).collect();
        let is_named = |what: &str| of_store.iter().any(|error| error.starts_with(what));
        let error = body["error"].as_str().unwrap_or_default();
        assert!(of_store.iter().all(|cause| error.contains(cause)), "{body}");
        body["status"] == "degraded" && is_named("Redis refuses changes: OOM") && is_named("1 of 2 partitions: ")
    })
    .await;
    ask(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    put_back(&redis, &key);
    wait::until("none is named any more", async || {
        let (status, why) = readiness(&mut client).await;
        status == 200 && !why.contains("partitions") && !why.contains("refuses")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_executed_in_part_is_over_when_its_key_is_mended() {
    let redis = Redis::start();
    let server = audited(&redis, &[]).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    set_aside(&redis, "db-writes:wait");
    ask(&redis, &["SET", "db-writes:wait", "x"]);
    let answer = switch(&mut client, 1).await;
    assert_eq!(answer.status, 500, "what was done in part is not acknowledged: {answer:?}");
    let (status, why) = readiness(&mut client).await;
    assert!(status == 503 && why.contains("db-writes:wait") || why.contains("in part"), "{status} {why}");
    assert_eq!(switch(&mut client, 1).await.status, 503, "and not done again");
    put_back(&redis, "db-writes:wait");
    ready(server.address()).await;
    assert_eq!(switch(&mut client, 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_cannot_be_counted_lets_through() {
    let redis = Redis::start();
    let server = instance_with(&redis.url(), &[("RATE_LIMIT_SWITCH", "1000")]).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    let key = format!("rl:switch:{}", id(1));
    for spoil in [&["SET", &key, "abc"][..], &["SET", &key, "9223372036854775807"], &["LPUSH", &key, "x"]] {
        ask(&redis, &["DEL", &key]);
        ask(&redis, spoil);
        let answer = switch(&mut client, 1).await;
        assert_eq!(answer.status, 200, "{spoil:?}: {answer:?}");
        let left_ms: i64 = redis.connect().pttl(&key).expect("it answers");
        assert!(left_ms != -1, "it does not stay for ever");
    }
    // More hits than are counted with 32 bits are too many.
    ask(&redis, &["SET", &key, "4294967296"]);
    assert_eq!(switch(&mut client, 1).await.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_gets_its_number_of_partitions_again() {
    let redis = Redis::start();
    let server = instance_with(&redis.url(), &[("PARTITIONS", "4")]).await;
    let mut client = server.connect().await;
    let number = || redis.connect().get::<_, Option<String>>("partitions").expect("it answers");
    ask(&redis, &["FLUSHALL"]);
    wait::until("who was there writes it again", async || number().as_deref() == Some("4")).await;
    let settings = [("REDIS_URL", redis.url()), ("AUDIT", "off".to_owned()), ("PARTITIONS", "8".to_owned())];
    let mut other = Program::start_command(command().env("PORT", "0").envs(settings));
    assert_eq!(other.ended().await, Some(1), "who is told otherwise does not run beside them");
    // Who was there does not end when somebody has written another one, but writes nothing beside it.
    ask(&redis, &["SET", "partitions", "8"]);
    let reason = "Redis holds 8 partitions, and PARTITIONS says 4";
    wait::until("it is noticed", async || {
        let (status, why) = readiness(&mut client).await;
        status == 503 && why.contains(reason)
    })
    .await;
    let created = client.ask("POST", "/v1/sessions", &two_players(&id(1), HOUR).to_string()).await;
    assert_eq!((created.status, created.code().as_str()), (503, "UNAVAILABLE"));
    ask(&redis, &["SET", "partitions", "4"]);
    ready(server.address()).await;
    client.create(&two_players(&id(1), HOUR)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_full_of_junk_hides_no_deadline() {
    const JUNK: u64 = 3_000;
    let redis = Redis::start();
    let dead = program(&redis.url()).await;
    let mut client = Connection::open(dead.address).await;
    start(&mut client, 1, 1_000).await;
    start(&mut client, 2, HOUR).await;
    start(&mut client, 0xabc, HOUR).await;
    drop(dead);
    let mut junk = redis::pipe();
    for n in 0..JUNK {
        junk.zadd("deadlines", format!("junk {n}"), 1).ignore();
    }
    // Written in another way, and at other times than their own, and at none.
    junk.zadd("deadlines", id(0xabc).to_uppercase(), 2).ignore();
    junk.zadd("deadlines", id(0xabc), "-inf").ignore();
    junk.zadd("deadlines", id(2), 5).ignore();
    junk.zadd("deadlines", id(3), 1.5).ignore();
    junk.exec(&mut redis.connect()).expect("it answers");
    let server = instance(&redis.url()).await;
    let mut client = server.connect().await;
    let mut connection = redis.connect();
    let members = |connection: &mut redis::Connection| -> Vec<String> {
        connection.zrangebyscore("deadlines", "-inf", 10_000).expect("it answers")
    };
    wait::until("nothing is left of it", async || members(&mut connection).is_empty()).await;
    let state: String = connection.get(format!("session:{}", id(1))).expect("it answers");
    wait::until("and the dead instance's clock has flagged", async || {
        state.contains("\"expired\"") || {
            let state: String = redis.connect().get(format!("session:{}", id(1))).expect("it answers");
            state.contains("\"expired\"")
        }
    })
    .await;
    for n in [2, 0xabc] {
        let score: Option<f64> = connection.zscore("deadlines", id(n)).expect("it answers");
        assert!(score.is_some_and(|score| score > 1e12), "its own deadline is there again: {score:?}");
        assert_eq!(client.read(&id(n)).await["status"], "running");
    }
    let metrics = client.ask("GET", "/metrics", "").await.body;
    let counted =
        metrics.lines().find_map(|line| line.strip_prefix("synckairos_store_rejected_total{what=\"deadline\"} "));
    assert!(counted.is_some_and(|count| count.parse::<u64>().expect("a number") >= JUNK), "{metrics}");
}

/// What a clock that ran out and a deletion come to, where no change can be made.
async fn takes_no_changes(redis: &Redis, stop: &[&str], go_on: &[&str], why: &str, deletes: bool) {
    let server = audited(redis, &[]).await;
    let mut client = server.connect().await;
    let started = start(&mut client, 1, 1_000).await;
    start(&mut client, 2, HOUR).await;
    let waiting = || redis.connect().llen::<_, u64>("db-writes:wait").expect("it answers");
    ask(redis, stop);
    wait::until("nobody need try to know", async || {
        let (status, said) = readiness(&mut client).await;
        status == 200 && said.contains("Redis refuses changes") && said.contains(why)
    })
    .await;
    let path = format!("/v1/sessions/{}", id(1));
    let mut read = client.ask("GET", &path, "").await;
    wait::until("its clock has run out", async || {
        read = client.ask("GET", &path, "").await;
        assert_eq!(read.status, 200, "{read:?}");
        read.json()["data"]["status"] == "expired"
    })
    .await;
    assert_eq!(read.header("SyncKairos-Settled"), Some("unsaved"), "{read:?}");
    let tag = format!("\"{}.{}\"", started["epoch"], started["version"]);
    assert_eq!((read.header("ETag"), &read.json()["data"]["version"]), (Some(tag.as_str()), &started["version"]));
    let unknown = client.ask_with("GET", &path, &[("If-None-Match", &tag)], "").await;
    assert_eq!(unknown.status, 200, "who knows the state of that name does not know this");
    assert_eq!(switch(&mut client, 2).await.status, 503);
    let before = waiting();
    let deleted = client.ask("DELETE", &format!("/v1/sessions/{}", id(2)), "").await;
    assert_eq!(deleted.status, if deletes { 204 } else { 503 }, "{deleted:?}");
    if deletes {
        assert_eq!(client.ask("GET", &format!("/v1/sessions/{}", id(2)), "").await.status, 404);
        assert_eq!(waiting(), before + 1, "it is written down");
        let pending: String = redis.connect().hget("db-writes:pending", id(2)).expect("it answers");
        assert!(pending.ends_with(".3"), "{pending}");
    }
    ask(redis, go_on);
    wait::until("nobody need try to know that either", async || {
        !readiness(&mut client).await.1.contains("Redis refuses changes")
    })
    .await;
    wait::until("what is shown is saved", async || {
        let read = client.ask("GET", &path, "").await;
        read.header("SyncKairos-Settled").is_none() && read.json()["data"]["version"].as_u64() == Some(3)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_shows_what_is_true_and_lets_sessions_be_deleted() {
    let redis = Redis::start();
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    let roomy = ["CONFIG", "SET", "maxmemory", "0"];
    takes_no_changes(&redis, &full, &roomy, "OOM command not allowed", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_too_few_replicas_shows_what_is_true() {
    let redis = Redis::start();
    let alone = ["CONFIG", "SET", "min-replicas-to-write", "1"];
    let enough = ["CONFIG", "SET", "min-replicas-to-write", "0"];
    takes_no_changes(&redis, &alone, &enough, "NOREPLICAS", false).await;
}

/// Nobody who watches learns less than who reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_joins_is_shown_what_could_not_be_saved() {
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let mut client = server.connect().await;
    start(&mut client, 1, 1_000).await;
    ask(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    wait::until("its clock has run out", async || client.read(&id(1)).await["status"] == "expired").await;
    let mut watcher = test_support::ws::Client::join(server.address(), &id(1)).await;
    let shown: Value = watcher.next_of("STATE_SYNC").await;
    assert_eq!(shown["state"]["status"], "expired");
    ask(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(watcher.next_of("STATE_UPDATE").await["state"]["version"], 3, "and it is told when it is");
}

/// Who has been spoken to for a while is not spoken to in the wrong way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_after_it_has_served_is_not_said_to_want_tls() {
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let mut client = server.connect().await;
    start(&mut client, 1, HOUR).await;
    redis.signal("STOP");
    let mut said = Vec::new();
    wait::until("it is noticed", async || {
        let (status, why) = readiness(&mut client).await;
        said.push(why);
        status == 503 && said.last().is_some_and(|why| why.contains("no reply in time"))
    })
    .await;
    redis.signal("CONT");
    assert!(!said.iter().any(|why| why.contains("TLS")), "{said:?}");
    ready(server.address()).await;
}
