//! The ACL rules of docs/run/redis.md, word for word: they are enough, each is needed, and a missing one is named at start.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use synckairos::redis::QueueKey;

use test_support::cluster::Cluster;
use test_support::http::Connection;
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::rig::Rig;

const HOUR: u64 = 3_600_000;
/// What the rules are about.
const PREFIX: &str = "sk:";
const LOGIN: &str = "synckairos:secret@";
/// What is asked for in a Cluster only, in another database only, or when replicas must have changes.
const SELDOM: [&str; 8] =
    ["asking", "cluster|info", "cluster|slots", "select", "spublish", "ssubscribe", "sunsubscribe", "wait"];

/// What follows `ACL SETUSER` in docs/run/redis.md.
fn rules() -> Vec<String> {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/run/redis.md")).expect("there is one");
    let mut lines = page.lines().filter_map(|line| line.trim().strip_prefix("redis-cli ACL SETUSER "));
    let rules = lines
        .next()
        .expect("the page has the rules")
        .split(' ')
        .map(|rule| rule.trim_matches('\'').to_owned())
        .collect();
    assert_eq!(lines.next(), None, "and once only");
    rules
}

fn commands(rules: &[String]) -> Vec<String> {
    rules.iter().filter_map(|rule| rule.strip_prefix('+')).map(str::to_owned).collect()
}

/// How often each command was carried out, and how often one was refused.
fn carried_out(connection: &mut redis::Connection) -> BTreeMap<String, (u64, u64)> {
    let info: String = redis::cmd("INFO").arg("commandstats").query(connection).expect("it answers");
    let field = |fields: &str, name: &str| {
        let value = fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.expect("it is told").parse::<u64>().expect("a number")
    };
    let stats = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    stats.map(|(name, fields)| (name.to_owned(), (field(fields, "calls"), field(fields, "rejected_calls")))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_enough_for_a_whole_life_and_nothing_in_them_is_too_much() {
    let rules = rules();
    let mut rig = Rig::start_as(LOGIN, PREFIX, &rules).await;
    let limits = [("RATE_LIMIT_SWITCH", "3"), ("RATE_LIMIT_GENERAL", "1000000")];
    let (mut one, other) = (rig.instance(&limits).await, rig.instance(&limits).await);
    let mut client = Connection::open(one.address).await;

    // Sessions live, are watched, run out and end.
    client.create(&two_players(&id(1), HOUR)).await;
    let mut watcher = Client::join(other.address, &id(1)).await;
    client.post(&id(1), "start", &Value::Null).await;
    for switches in 1..=4 {
        let answer = client.ask("POST", &format!("/v1/sessions/{}/switch", id(1)), "").await;
        assert_eq!(answer.status, if switches > 3 { 429 } else { 200 }, "{answer:?}");
    }
    assert_eq!(client.post(&id(1), "pause", &Value::Null).await["version"], 6);
    while watcher.next_of("STATE_UPDATE").await["state"]["version"] != 6 {}
    drop(watcher);
    client.create(&two_players(&id(2), 1_000)).await;
    client.post(&id(2), "start", &Value::Null).await;
    wait::until("its time runs out", async || client.read(&id(2)).await["status"] == "expired").await;
    rig.drained().await;

    // What Redis does not have comes back.
    rig.forget(&id(1));
    assert_eq!(client.read(&id(1)).await["version"], 7);
    rig.drained().await;

    // What the database does not take is tried again, given up, looked at, and queued again or dropped.
    let refuse = "create function refuse() returns trigger language plpgsql as $$ begin \
                  if new.event_type = 'session_deleted' then raise 'no'; end if; return new; end $$; \
                  create trigger refuse before insert on sync_events for each row execute function refuse()";
    rig.postgres(move |postgres| postgres.connect("postgres").batch_execute(refuse).expect("it can be done")).await;
    for n in [1, 2] {
        assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(n)), "").await.status, 204);
    }
    // The fault is the jobs' since others pass, whenever they are tried.
    client.create(&two_players(&id(3), HOUR)).await;
    let mut passed = 0;
    wait::until("both are given up", async || {
        passed += 1;
        let other = format!(r#"{{"metadata":{{"passed":{passed}}}}}"#);
        client.ask("PATCH", &format!("/v1/sessions/{}", id(3)), &other).await;
        rig.hasten(QueueKey::Delayed);
        rig.queued(QueueKey::Dead) == 2
    })
    .await;
    let (code, said) = rig.operate(&["queue", "dead"]).await;
    assert_eq!((code, said.lines().count()), (Some(0), 4), "{said}");
    let event = said.split(' ').next().unwrap_or_default();
    assert_eq!(rig.operate(&["queue", "drop", event]).await.0, Some(0));
    let allow = "drop trigger refuse on sync_events";
    rig.postgres(move |postgres| postgres.connect("postgres").batch_execute(allow).expect("it can be done")).await;
    assert_eq!(rig.operate(&["queue", "redrive"]).await, (Some(0), "1 jobs wait again\n".to_owned()));
    let deleted = "select count(*) from sync_events where event_type = 'session_deleted'";
    wait::until("it is written", async || rig.number(deleted).await == 1).await;

    // What a process cannot write is given back; what one held that died is taken back.
    rig.postgres(|postgres| postgres.stop()).await;
    client.post(&id(3), "start", &Value::Null).await;
    wait::until("it is given back", async || (rig.queued(QueueKey::Lease), rig.queued(QueueKey::Wait)) == (0, 1)).await;
    drop(client);
    for instance in [&one, &other] {
        instance.signal("TERM");
    }
    assert_eq!(one.ended().await, Some(0));
    drop(other);
    rig.postgres(|postgres| postgres.start_again()).await;
    let mut third = rig.instance(&limits).await;
    rig.drained().await;
    rig.postgres(|postgres| postgres.signal("STOP")).await;
    Connection::open(third.address).await.post(&id(3), "pause", &Value::Null).await;
    wait::until("somebody holds it", async || rig.queued(QueueKey::Lease) > 0).await;
    third.child.kill().expect("it runs");
    third.ended().await;
    rig.hasten(QueueKey::Lease);
    rig.postgres(|postgres| postgres.signal("CONT")).await;
    let fourth = rig.instance(&limits).await;
    rig.drained().await;
    assert_eq!(rig.operate(&["migrate"]).await, (Some(0), "the schema is up to date\n".to_owned()));

    // Nobody watches any more.
    let watcher = Client::join(fourth.address, &id(3)).await;
    drop(watcher);
    let channel = format!("{PREFIX}ws:{}", id(3));
    wait::until("the subscription has ended", async || {
        let subscribed = redis::cmd("PUBSUB").arg("NUMSUB").arg(&channel).query(&mut rig.redis().connect());
        subscribed.is_ok_and(|(_, count): (String, u64)| count == 0)
    })
    .await;

    let told = carried_out(&mut rig.redis().connect());
    let refused: Vec<_> = told.iter().filter(|(_, (_, refused))| *refused > 0).collect();
    assert!(refused.is_empty(), "they are enough: {refused:?}");
    let log: Vec<redis::Value> = redis::cmd("ACL").arg("LOG").query(&mut rig.redis().connect()).expect("it answers");
    assert!(log.is_empty(), "{log:?}");
    let is_idle = |name: &String| !told.contains_key(name) && !SELDOM.contains(&name.as_str());
    let idle: Vec<_> = commands(&rules).into_iter().filter(is_idle).collect();
    assert!(idle.is_empty(), "nobody needs {idle:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_enough_in_a_cluster() {
    let rules = rules();
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(3, 0)).await.expect("it starts");
    for node in &cluster.nodes {
        redis::cmd("ACL").arg("SETUSER").arg(&rules).exec(&mut node.connect()).expect("the rules are right");
    }
    let url = cluster.url().replace("redis+cluster://", &format!("redis+cluster://{LOGIN}"));
    let settings = [("REDIS_URL", url.as_str()), ("REDIS_PREFIX", PREFIX), ("PARTITIONS", "8"), ("AUDIT", "off")];
    let instances = [Server::start_with(&settings).await, Server::start_with(&settings).await];
    for instance in &instances {
        let mut client = instance.connect().await;
        wait::until("it is ready", async || client.ask("GET", "/ready", "").await.body == r#"{"status":"ready"}"#)
            .await;
    }
    let mut client = instances[0].connect().await;
    for n in 0..20 {
        client.create(&two_players(&id(n), HOUR)).await;
        let mut watcher = Client::join(instances[1].address(), &id(n)).await;
        client.post(&id(n), "start", &Value::Null).await;
        while watcher.next_of("STATE_UPDATE").await["state"]["version"] != 2 {}
    }
    let mut carried = BTreeMap::new();
    wait::until("what nobody watches any more is let go", async || {
        carried.clear();
        for node in &cluster.nodes {
            for (name, (count, refused)) in carried_out(&mut node.connect()) {
                assert_eq!(refused, 0, "{name} was refused");
                *carried.entry(name).or_default() += count;
            }
        }
        carried.get("sunsubscribe").is_some_and(|count: &u64| *count >= 20)
    })
    .await;
    for name in ["cluster|info", "cluster|slots", "spublish", "ssubscribe"] {
        assert!(carried.contains_key(name), "nobody needs {name}");
    }
}

/// An instance with all but one of the rules: it is not ready, and says what it lacks.
async fn lacks(url: String, partitions: &'static str, name: String) {
    let settings =
        [("REDIS_URL", url.as_str()), ("REDIS_PREFIX", PREFIX), ("PARTITIONS", partitions), ("AUDIT", "off")];
    let server = Server::start_with(&settings).await;
    let mut client = server.connect().await;
    let told = name.replace('|', " ");
    let mut said = String::new();
    wait::until(&format!("{name} is named"), async || {
        let answer = client.ask("GET", "/ready", "").await;
        assert_eq!(answer.status, 503, "{name} is not missed");
        said = answer.json()["error"].as_str().unwrap_or_default().replace('|', " ").to_ascii_lowercase();
        said.split(|next: char| !next.is_ascii_alphanumeric() && next != ' ').any(|part| {
            let part = part.trim();
            part == told || part.ends_with(&format!(" {told}"))
        })
    })
    .await;
    println!("without {name}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_that_is_missing_is_named() {
    let rules = rules();
    let redis = Redis::start();
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(1, 0)).await.expect("it starts");
    let in_cluster = ["asking", "cluster|info", "cluster|slots", "spublish", "ssubscribe", "sunsubscribe"];
    let mut lacking = FuturesUnordered::new();
    for name in commands(&rules) {
        let divides = in_cluster.contains(&name.as_str());
        let mut connection = if divides { cluster.nodes[0].connect() } else { redis.connect() };
        let user = format!("lacks-{}", name.replace('|', "-"));
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg(&user).arg(&rules[1..]).arg(format!("-{name}"));
        acl.exec(&mut connection).expect("the rules are right");
        let login = format!("{user}:secret@");
        let (url, partitions) = match divides {
            true => (cluster.url().replace("redis+cluster://", &format!("redis+cluster://{login}")), "2"),
            // Only there it is asked for.
            false if name == "select" => (format!("{}/1", redis.url_as(&login)), "1"),
            false => (redis.url_as(&login), "1"),
        };
        lacking.push(lacks(url, partitions, name));
        if lacking.len() >= 4 {
            lacking.next().await;
        }
    }
    while lacking.next().await.is_some() {}
    assert_eq!(redis.len(), 0, "nothing was carried out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_channels_that_are_not_permitted_are_named() {
    let rules = rules();
    let redis = Redis::start();
    let mut connection = redis.connect();
    for (user, change, expected) in [
        ("keys", vec!["resetkeys", "~sk:session:*"], r#"the key "sk:deadlines""#),
        ("channels", vec!["resetchannels", "&sk:session-updates"], r#"the channel "sk:probe:0000000000000000""#),
    ] {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg(user).arg(&rules[1..]).arg(&change);
        acl.exec(&mut connection).expect("the rules are right");
        let url = redis.url_as(&format!("{user}:secret@"));
        let server = Server::start_with(&[("REDIS_URL", &url), ("REDIS_PREFIX", PREFIX), ("AUDIT", "off")]).await;
        let mut client = server.connect().await;
        let mut said = String::new();
        wait::until(expected, async || {
            said = client.ask("GET", "/ready", "").await.json()["error"].as_str().unwrap_or_default().to_owned();
            said.contains(expected)
        })
        .await;
        println!("{said}");
        // Whoever is given what was missing serves.
        redis::cmd("ACL").arg("SETUSER").arg(user).arg("~sk:*").arg("&sk:*").exec(&mut connection).expect("ok");
        wait::until("it serves", async || client.ask("GET", "/ready", "").await.status == 200).await;
        // What is taken away from one that serves is found out as well.
        redis::cmd("ACL").arg("SETUSER").arg(user).arg("-mget").exec(&mut connection).expect("ok");
        wait::until("it does not serve", async || {
            client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await;
            let answer = client.ask("GET", "/ready", "").await;
            answer.status == 503 && answer.body.contains("MGET")
        })
        .await;
    }
}
