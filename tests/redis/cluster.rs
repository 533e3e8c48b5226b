//! Instances on a Cluster: slots move and masters die under load, and clients are told the truth.
//! SYNCKAIROS_TEST_MOVES and _KILLS raise how often.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use synckairos::engine::{SessionId, Uuid};
use synckairos::redis::Keyspace;

use crate::metrics::value as series;
use crate::support::certificates::Authority;
use crate::support::cluster::Cluster;
use crate::support::dice::{Dice, scale};
use crate::support::http::Connection;
use crate::support::server::Server;
use crate::support::sessions::id;
use crate::support::wait;

use super::faulty::Load;
use super::watcher::Watcher;
use super::{instance_with, switch};

const PARTITIONS: u16 = 8;
const SESSIONS: u64 = 64;
/// Within which service is back when a new master is known: 2 s, and the rest is for a machine that is busy.
const BACK_WITHIN: Duration = Duration::from_secs(10);

async fn instances(cluster: &Cluster) -> Vec<Server> {
    let mut settings = vec![("PARTITIONS", PARTITIONS.to_string()), ("RATE_LIMIT_SWITCH", "0".to_owned())];
    settings.extend(cluster.settings());
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut instances = Vec::new();
    for _ in 0..2 {
        instances.push(instance_with(&cluster.url(), &settings).await);
    }
    instances
}

/// The hash slot of a session.
fn slot(n: u64) -> u16 {
    let keyspace = Keyspace::new("", PARTITIONS);
    let session = Uuid::parse(&id(n)).map(SessionId).expect("an id");
    keyspace.slot(keyspace.partition(session))
}

/// Waits until a session can be changed by way of every instance; returns how long that took.
async fn back(addresses: &[SocketAddr], n: u64) -> Duration {
    let since = Instant::now();
    for address in addresses {
        let mut client = Connection::open(*address).await;
        wait::until("service is back", async || switch(&mut client, n).await.status == 200).await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_and_masters_die_under_load() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(3, 1)).await.expect("it starts");
    under_load(cluster, scale("SYNCKAIROS_TEST_MOVES", 4), scale("SYNCKAIROS_TEST_KILLS", 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_and_masters_die_with_everything_encrypted() {
    let authority = Arc::new(Authority::new());
    let certified = Arc::clone(&authority);
    let cluster = tokio::task::spawn_blocking(move || Cluster::start_encrypted(3, 1, &certified));
    under_load(cluster.await.expect("it starts"), 2, 1).await;
    drop(authority);
}

async fn under_load(mut cluster: Cluster, moves: u64, kills: u64) {
    let instances = instances(&cluster).await;
    let addresses: Vec<_> = instances.iter().map(Server::address).collect();
    let load = Load::begin(&addresses, SESSIONS).await;
    // Sessions that only this test changes, one of each partition, and somebody who watches.
    let own: Vec<_> = (SESSIONS..SESSIONS + 200).fold(Vec::new(), |mut own: Vec<u64>, n| {
        if own.iter().all(|other| slot(*other) != slot(n)) {
            own.push(n);
        }
        own
    });
    assert_eq!(own.len(), usize::from(PARTITIONS));
    let mut watchers = Vec::new();
    for n in &own {
        let mut client = Connection::open(addresses[0]).await;
        super::start(&mut client, *n, super::HOUR).await;
        watchers.push(Watcher::join(addresses[1], &id(*n)).await);
    }
    let mut dice = Dice(7);
    let mut readers = Connection::open(addresses[0]).await;
    for _ in 0..moves {
        let n = own[dice.below(own.len() as u64) as usize];
        cluster = tokio::task::spawn_blocking(move || {
            let from = cluster.owner(slot(n));
            let to = (0..3).find(|to| *to != from).expect("there are three");
            cluster.migrate(slot(n), to);
            cluster
        })
        .await
        .expect("it moves");
        let took = back(&addresses, n).await;
        println!("after a slot moved: {took:?}");
        assert!(took < BACK_WITHIN, "{took:?}");
        assert_eq!(readers.ask("GET", &format!("/v1/sessions/{}", id(n)), "").await.status, 200);
    }
    for _ in 0..kills {
        let n = own[dice.below(own.len() as u64) as usize];
        cluster = tokio::task::spawn_blocking(move || {
            let victim = cluster.owner(slot(n));
            cluster.nodes[victim].kill();
            cluster.owner(slot(n));
            cluster
        })
        .await
        .expect("another is promoted");
        let took = back(&addresses, n).await;
        println!("after a new master was announced: {took:?}");
        assert!(took < BACK_WITHIN, "{took:?}");
        cluster = tokio::task::spawn_blocking(move || {
            cluster.nodes.iter_mut().filter(|node| !node.runs()).for_each(|node| node.start_again());
            cluster.wait();
            cluster.wait_for_replicas();
            cluster
        })
        .await
        .expect("it comes back");
    }
    for (n, watcher) in own.iter().zip(&watchers) {
        let mut client = Connection::open(addresses[0]).await;
        let answer = switch(&mut client, *n).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let newest = super::version(&answer);
        wait::until("clients of the other instance see it", async || watcher.version() == Some(newest)).await;
    }
    let told = load.end().await;
    let mut reported = 0;
    for address in &addresses {
        let mut client = Connection::open(*address).await;
        let metrics = client.ask("GET", "/metrics", "").await.body;
        reported += series(&metrics, "synckairos_store_sessions_behind_total") as u64;
    }
    println!(
        "{} changes acknowledged, {} refused, {} of unknown outcome; {} lost, in sessions set back {} times, {reported} reported",
        told.made, told.refused, told.unknown, told.lost, told.set_back
    );
    assert!(told.made > 0 && reported >= told.set_back, "no loss is silent");
    for (n, newest, unknown) in told.newest {
        let state = readers.read(&id(n)).await;
        let found = (state["epoch"].as_u64().unwrap_or_default(), state["version"].as_u64().unwrap_or_default());
        assert!(found >= newest && found.1 <= newest.1 + unknown || reported > 0, "session {n}: {found:?}, {newest:?}");
    }
}
