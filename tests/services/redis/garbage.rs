//! Corrupt values in Redis: only requests for that session fail, and all others are served.

use redis::Commands;
use serde_json::{Value, json};

use test_support::dice::{Dice, scale};
use test_support::http::{Answer, Connection};
use test_support::program::Program;
use test_support::redis::Redis;
use test_support::sessions::{id, participant, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::watcher::Watcher;
use super::{HOUR, program, start, switch, version};

/// The session that is well.
const HONEST: u64 = 1;
/// Sessions whose values are spoiled, one of each kind.
const FIRST: u64 = 10;

/// Bodies of sessions of every kind.
fn kinds() -> Vec<Value> {
    let group = |n: u64| json!(format!("22222222-2222-4222-8222-{n:012x}"));
    let member = |n: u64| json!({"participant_id": participant(n), "participant_index": n, "total_time_ms": 60_000, "group_id": group(n % 2)});
    let body = |n: usize, mode: &str, more: Value| {
        let mut body = two_players(&id(FIRST + n as u64), HOUR);
        body["sync_mode"] = json!(mode);
        body["participants"] = json!([member(0), member(1), member(2)]);
        body["warn_at_ms"] = json!([30_000, 1_000]);
        body["metadata"] = json!({"name": "\"é\"", "n": [1, 2.5, null]});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    };
    [
        ("per_participant", json!({"on_timeout": "advance"})),
        ("per_participant", json!({"increment_ms": 1_000})),
        ("per_cycle", json!({"on_timeout": "advance", "time_per_cycle_ms": 60_000})),
        ("per_cycle", json!({"on_timeout": "notify"})),
        ("per_group", json!({"on_timeout": "advance"})),
        ("global", json!({"on_timeout": "advance"})),
        ("count_up", json!({"max_time_ms": 60_000, "on_timeout": "notify"})),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (mode, more))| body(n, mode, more))
    .collect()
}

fn key(n: u64) -> String {
    format!("session:{}", id(n))
}

/// Asks everything of a session: whatever is there, an answer makes sense.
async fn ask_everything(client: &mut Connection, n: u64, dice: &mut Dice) {
    let session = format!("/v1/sessions/{}", id(n));
    let patch = json!({"metadata": {"a": 1}, "on_timeout": "advance"}).to_string();
    let ask = [
        ("GET", session.clone(), ""),
        ("POST", format!("{session}/start"), ""),
        ("POST", format!("{session}/switch"), ""),
        ("POST", format!("{session}/pause"), ""),
        ("POST", format!("{session}/resume"), ""),
        ("PATCH", session.clone(), patch.as_str()),
        ("POST", format!("{session}/complete"), ""),
        ("POST", "/v1/sessions".to_owned(), ""),
        ("DELETE", session, ""),
    ];
    for _ in 0..4 {
        let (method, path, body) = &ask[dice.below(ask.len() as u64) as usize];
        let created = two_players(&id(n), HOUR).to_string();
        let body = if path == "/v1/sessions" { &created } else { *body };
        check(&client.ask(method, path, body).await);
    }
}

fn check(answer: &Answer) {
    let told = answer.status != 204 && answer.status >= 400;
    let code = if told { answer.code() } else { String::new() };
    let makes_sense = match answer.status {
        200..=499 => answer.status == 204 || serde_json::from_str::<Value>(&answer.body).is_ok(),
        500 => code == "STATE_DESERIALIZATION_ERROR",
        _ => false,
    };
    assert!(makes_sense, "{answer:?}");
}

/// What a value becomes.
fn spoil(value: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut spoiled = value.to_vec();
    let at = |dice: &mut Dice, len: usize| dice.below(len.max(1) as u64) as usize;
    match dice.below(8) {
        0 => (0..dice.below(300)).map(|_| dice.below(256) as u8).collect(),
        1 => {
            spoiled.truncate(at(dice, value.len()));
            spoiled
        }
        2 => {
            for _ in 0..=dice.below(3) {
                let place = at(dice, value.len());
                spoiled[place] = dice.below(256) as u8;
            }
            spoiled
        }
        // Still JSON, and another number, word or list.
        _ => {
            let text = String::from_utf8_lossy(value).into_owned();
            let mut stored: Value = serde_json::from_str(&text).expect("it is JSON");
            let odd = [
                json!(0),
                json!(1),
                json!(u64::MAX),
                json!(9_999_999_999_999_999_999_u64),
                json!(-1),
                json!(null),
                json!([]),
                json!({}),
                json!(""),
                json!("running"),
                json!("9999-12-31T23:59:59.999Z"),
                json!("0001-01-01T00:00:00.000Z"),
                json!(participant(1)),
                json!(true),
            ];
            let with = odd[at(dice, odd.len())].clone();
            let members: Vec<_> = stored.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            let name = &members[at(dice, members.len())];
            if dice.below(3) == 0 {
                let place = dice.below(3) as usize;
                let fields: Vec<_> =
                    stored["participants"][0].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
                let field = &fields[at(dice, fields.len())];
                stored["participants"][place][field.as_str()] = with;
            } else {
                stored[name.as_str()] = with;
            }
            // Members stand in the order of their names then, and the store's own goes first.
            stored.to_string().into_bytes()
        }
    }
}

/// Ends an instance, which must have met no fault of its own.
async fn never_panicked(mut instance: Program) -> Vec<String> {
    instance.child.kill().expect("it runs");
    instance.ended().await;
    let log = instance.log_whole();
    assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_value_harms_no_other_session() {
    let (redis, mut dice) = (Redis::start(), Dice(7));
    let instance = program(&redis.url()).await;
    let mut honest = Connection::open(instance.address).await;
    let mut client = Connection::open(instance.address).await;
    start(&mut honest, HONEST, HOUR).await;
    let watcher = Watcher::join(instance.address, &id(HONEST)).await;
    let (mut raw, mut pristine) = (redis.connect(), Vec::new());
    let kinds = kinds();
    for (n, body) in (FIRST..).zip(&kinds) {
        client.create(body).await;
        client.post(&id(n), "start", &Value::Null).await;
        pristine.push((n, raw.get::<_, Vec<u8>>(key(n)).expect("it is there")));
    }
    let mut last = 2;
    for step in 0..scale("SYNCKAIROS_TEST_GARBAGE", 150) {
        let (n, value) = &pristine[(step % pristine.len() as u64) as usize];
        // Half of them are watched while they are spoiled.
        let watching = if step % 2 == 0 {
            Some(Client::open(instance.address, &format!("?sessionId={}", id(*n))).await)
        } else {
            None
        };
        raw.set::<_, _, ()>(key(*n), spoil(value, &mut dice)).expect("it is up");
        raw.zadd::<_, _, _, ()>("deadlines", id(*n), 1).expect("it is up");
        if step % 10 == 0 {
            redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec(&mut raw).expect("it is up");
        }
        let joined = Client::open(instance.address, &format!("?sessionId={}", id(*n))).await;
        ask_everything(&mut client, *n, &mut dice).await;
        let switched = switch(&mut honest, HONEST).await;
        assert_eq!(switched.status, 200, "others are served: {switched:?}");
        last += 1;
        assert_eq!(version(&switched), last);
        drop((watching, joined));
    }
    wait::until("updates go on", async || watcher.version() == Some(last)).await;
    watcher.check();
    never_panicked(instance).await;
}

/// What was seen to end tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_value_is_logged_once_and_counted() {
    let redis = Redis::start();
    let instance = program(&redis.url()).await;
    let mut client = Connection::open(instance.address).await;
    let mut raw = redis.connect();
    start(&mut client, HONEST, HOUR).await;
    let mut body = two_players(&id(FIRST), HOUR);
    body["sync_mode"] = json!("per_cycle");
    body["time_per_cycle_ms"] = json!(1_000);
    body["on_timeout"] = json!("advance");
    client.create(&body).await;
    let value: String = raw.get(key(FIRST)).expect("it is there");
    let cases = [
        (
            "nobody takes part",
            value.replace(
                &value[value.find("[{\"participant_id").expect("some")..=value.find("}]").expect("an end") + 1],
                "[]",
            ),
            "start",
        ),
        ("a turn has no time", value.replace("\"time_per_cycle_ms\":1000", "\"time_per_cycle_ms\":0"), "start"),
        ("no version comes after it", value.replace("\"version\":1,", "\"version\":9223372036854775807,"), "start"),
        ("it is none of ours", r#"{"session_id":"x"}"#.to_owned(), "switch"),
        ("it is no JSON", "nonsense".to_owned(), "pause"),
    ];
    for (what, spoiled, action) in &cases {
        assert_ne!(*spoiled, value, "{what}");
        raw.set::<_, _, ()>(key(FIRST), spoiled).expect("it is up");
        for _ in 0..2 {
            let answer = client.ask("POST", &format!("/v1/sessions/{}/{action}", id(FIRST)), "").await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (500, "STATE_DESERIALIZATION_ERROR"),
                "{what}: {answer:?}"
            );
        }
        assert_eq!(switch(&mut client, HONEST).await.status, 200, "{what}");
    }
    // Bytes that are no text, where somebody watches.
    let mut garbled = value.clone().into_bytes();
    let place = garbled.len() - 40;
    garbled[place] = 0xff;
    raw.set::<_, _, ()>(key(FIRST), &garbled).expect("it is up");
    let read = client.ask("GET", &format!("/v1/sessions/{}", id(FIRST)), "").await;
    assert_eq!((read.status, read.code().as_str()), (500, "STATE_DESERIALIZATION_ERROR"));
    let mut watcher = Client::open(instance.address, &format!("?sessionId={}", id(FIRST))).await;
    assert_eq!(u16::from(watcher.closed().await.code), 1013, "who cannot be shown it is told to come back");
    raw.set::<_, _, ()>(key(FIRST), &value).expect("it is up");
    client.post(&id(FIRST), "start", &Value::Null).await;
    let metrics = client.ask("GET", "/metrics", "").await.body;
    assert!(metrics.contains("synckairos_store_rejected_total{what=\"state\"} 6"), "{metrics}");
    let log = never_panicked(instance).await;
    let told = log.iter().filter(|line| line.contains("a stored state cannot be read") && line.contains(&key(FIRST)));
    assert_eq!(told.count(), cases.len() + 1, "{log:#?}");
}
