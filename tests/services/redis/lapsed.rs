//! Lifetimes that end while clients of several instances watch.

use serde_json::{Value, json};
use tokio::task::block_in_place;

use test_support::cluster::Cluster;
use test_support::redis::Redis;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::cluster::PARTITIONS;
use super::watcher::Watcher;
use super::{HOUR, instance, instance_with, ready, start};

const BRIEF: [(&str, &str); 3] = [("LIFETIME_PENDING_S", "3"), ("LIFETIME_IDLE_S", "3"), ("LIFETIME_ENDED_S", "3")];

/// How often a client was told that its session is gone, and how often because nothing happened.
fn told(watcher: &Watcher) -> (usize, usize) {
    let messages = watcher.seen().messages;
    let gone = messages.iter().filter(|message| message.contains("SESSION_DELETED"));
    (gone.clone().count(), gone.filter(|message| message.contains(r#""reason":"lapsed""#)).count())
}

async fn watchers_are_notified_on_every_instance(instances: [Server; 2]) {
    const SESSIONS: u64 = 12;
    let mut http = instances[0].connect().await;
    let mut clients = Vec::new();
    for n in 0..SESSIONS {
        let last = match n % 3 {
            0 => http.create(&two_players(&id(n), HOUR)).await,
            1 => {
                start(&mut http, n, HOUR).await;
                http.post(&id(n), "pause", &Value::Null).await
            }
            _ => {
                start(&mut http, n, HOUR).await;
                http.post(&id(n), "complete", &Value::Null).await
            }
        };
        for instance in &instances {
            for _ in 0..2 {
                clients.push((n, last.clone(), Client::join(instance.address(), &id(n)).await));
            }
        }
    }
    for (n, last, client) in &mut clients {
        assert_eq!(client.next().await["state"], *last, "{n}");
        let end = client.next().await;
        let named = (&end["type"], &end["sessionId"], &end["reason"]);
        assert_eq!(named, (&json!("SESSION_DELETED"), &json!(id(*n)), &json!("lapsed")), "{end}");
        assert_eq!(u16::from(client.closed().await.code), 1000, "{n}");
    }
    assert_eq!(http.ask("GET", &format!("/v1/sessions/{}", id(0)), "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_a_session_that_lapses_are_notified_on_every_instance() {
    let redis = Redis::start();
    let instances = [instance_with(&redis.url(), &BRIEF).await, instance_with(&redis.url(), &BRIEF).await];
    watchers_are_notified_on_every_instance(instances).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_a_session_of_a_cluster_that_lapses_are_notified_on_every_instance() {
    let cluster = block_in_place(|| Cluster::start(3, 0));
    let partitions = PARTITIONS.to_string();
    let settings = [&BRIEF[..], &[("PARTITIONS", partitions.as_str())]].concat();
    let instances = [instance_with(&cluster.url(), &settings).await, instance_with(&cluster.url(), &settings).await];
    watchers_are_notified_on_every_instance(instances).await;
}

/// Redis is away when it happens, and keeps what it has in a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_lapse_during_an_outage_are_announced_after_it() {
    let mut redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let server = instance_with(&redis.url(), &BRIEF).await;
    let mut http = server.connect().await;
    http.create(&two_players(&id(1), HOUR)).await;
    start(&mut http, 2, HOUR).await;
    let (gone, kept) = (Watcher::join(server.address(), &id(1)).await, Watcher::join(server.address(), &id(2)).await);
    let now_ms = http.time_ms().await;
    redis.kill();
    wait::until("its lifetime is over", async || instant_ms() > now_ms + 4_000).await;
    redis.restart();
    ready(server.address()).await;
    wait::until("it is told", async || told(&gone) == (1, 1)).await;
    http.post(&id(2), "switch", &Value::Null).await;
    wait::until("others go on", async || kept.version() == Some(3)).await;
    assert_eq!((told(&gone), told(&kept)), ((1, 1), (0, 0)));
}

/// The time by the machine's clock, which Redis here goes by too.
fn instant_ms() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("it is later").as_millis() as u64
}

/// Somebody has emptied Redis: that is no lapse, and another session may have the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_has_not_lapsed() {
    let redis = Redis::start();
    let server = instance(&redis.url()).await;
    let mut http = server.connect().await;
    for n in 1..=2 {
        start(&mut http, n, HOUR).await;
    }
    let watchers = [Watcher::join(server.address(), &id(1)).await, Watcher::join(server.address(), &id(2)).await];
    redis::cmd("FLUSHALL").exec(&mut redis.connect()).expect("it answers");
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "pubsub"]).exec(&mut redis.connect()).expect("it answers");
    wait::until("the partitions are written again", async || {
        http.ask("POST", "/v1/sessions", &two_players(&id(1), HOUR).to_string()).await.status == 201
    })
    .await;
    wait::until("the new one is heard of", async || watchers[0].version() == Some(1)).await;
    http.post(&id(1), "start", &Value::Null).await;
    wait::until("and goes on", async || watchers[0].version() == Some(2)).await;
    assert_eq!(watchers.each_ref().map(told), [(0, 0); 2]);
    watchers.iter().for_each(Watcher::check);
}
