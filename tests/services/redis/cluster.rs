//! A Cluster under load: slots migrate and masters fail over, and every response stays true.
//! SYNCKAIROS_TEST_MOVES and _KILLS raise how often.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use synckairos::engine::{SessionId, Uuid};
use synckairos::redis::Keyspace;
use tokio::task::block_in_place;

use test_support::certificates::Authority;
use test_support::cluster::Cluster;
use test_support::dice::{Dice, scale};
use test_support::http::Connection;
use test_support::sessions::id;
use test_support::wait;

use super::faulty::{Load, Told};
use super::process::Instance;
use super::watcher::Watcher;
use super::{HOUR, start, switch};

pub(super) const PARTITIONS: u16 = 8;
const SESSIONS: u64 = 64;
/// Within which service is back when a new master is known: 2 s, and the rest is for a machine that is busy.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Changes that are acknowledged between one fault and the next.
const SOME: u64 = 60;

/// What a Cluster goes through, and what instances on it promise.
#[derive(Clone, Copy)]
struct Plan {
    moves: u64,
    kills: u64,
    replicas_min: u32,
}

impl Plan {
    fn new(moves: u64, kills: u64) -> Self {
        let (moves, kills) = (scale("SYNCKAIROS_TEST_MOVES", moves), scale("SYNCKAIROS_TEST_KILLS", kills));
        Self { moves, kills, replicas_min: 0 }
    }
}

/// What came of it.
struct Outcome {
    told: Told,
    /// How many sessions each instance reported as set back.
    reported: Vec<u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_and_masters_die_under_load() {
    let cluster = block_in_place(|| Cluster::start(3, 1));
    let Outcome { told, reported } = under_load(cluster, Plan::new(4, 2)).await;
    assert!(told.lost > 0, "a master that was alone took changes with it");
    for (instance, missed) in &told.missed {
        assert!(reported[*instance] >= *missed, "no loss is silent: {missed} of instance {instance}, {reported:?}");
    }
    let (reported, missed) = (reported.iter().sum::<u64>(), told.missed.values().sum::<u64>());
    assert!(reported <= missed + told.unknown, "nor is anything else called lost: {reported}, and {missed} were");
}

/// Whoever is promoted has what was acknowledged: when the master ends both replicas are still sent what it had sent
/// to one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_die_and_nothing_is_lost_that_replicas_had_to_have() {
    let cluster = block_in_place(|| Cluster::start(3, 2));
    let Outcome { told, reported } = under_load(cluster, Plan { replicas_min: 1, ..Plan::new(1, 2) }).await;
    assert_eq!((told.lost, reported.iter().sum::<u64>()), (0, 0), "nothing is lost, and nobody says so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_and_masters_die_with_everything_encrypted() {
    let authority = Arc::new(Authority::new());
    let cluster = block_in_place(|| Cluster::start_encrypted(3, 1, &authority));
    under_load(cluster, Plan { moves: 2, kills: 1, replicas_min: 0 }).await;
}

async fn under_load(mut cluster: Cluster, plan: Plan) -> Outcome {
    let instances = instances(&cluster, plan).await;
    let addresses: Vec<_> = instances.iter().map(|instance| instance.program.address).collect();
    let load = Load::begin(&addresses, SESSIONS).await;
    let mut watchers = Vec::new();
    for n in one_of_each_partition(0) {
        watchers.push((n, Watcher::join(addresses[1], &id(n)).await));
    }
    // Sessions that only this test changes.
    let own = one_of_each_partition(SESSIONS);
    let mut client = Connection::open(addresses[0]).await;
    for n in &own {
        start(&mut client, *n, HOUR).await;
    }
    let mut dice = Dice(7);
    for _ in 0..plan.moves {
        let n = own[dice.below(own.len() as u64) as usize];
        block_in_place(|| {
            let from = cluster.owner(slot(n));
            let to = (0..3).find(|to| *to != from).expect("there are three");
            cluster.migrate(slot(n), to);
        });
        back("a slot has moved", &addresses, n).await;
        assert_eq!(client.ask("GET", &format!("/v1/sessions/{}", id(n)), "").await.status, 200);
    }
    for kill in 0..plan.kills {
        let n = own[dice.below(own.len() as u64) as usize];
        let victim = block_in_place(|| cluster.owner(slot(n)));
        load.more(SOME).await;
        // Every other master is alone for a while, so that it is certain that its replica lacks something.
        if plan.replicas_min == 0 && kill % 2 == 0 {
            block_in_place(|| cluster.nodes[victim].cut_replicas());
            load.more(SOME).await;
        }
        let killed = Instant::now();
        block_in_place(|| {
            cluster.nodes[victim].kill();
            cluster.owner(slot(n));
        });
        let announced = killed.elapsed();
        back(&format!("a new master was announced, {announced:?} after the old one was killed,"), &addresses, n).await;
        block_in_place(|| {
            cluster.nodes[victim].start_again();
            cluster.wait();
            cluster.wait_for_replicas();
        });
    }
    load.more(SOME).await;
    let mut told = load.end(&mut client).await;
    for (n, watcher) in watchers {
        let newest = client.read(&id(n)).await;
        let newest = newest["epoch"].as_u64().zip(newest["version"].as_u64());
        let is_newest = async || watcher.seen().tags.last().copied() == newest;
        wait::until("clients of the other instance see the newest state", is_newest).await;
        watcher.seen().messages.iter().for_each(|message| told.makers.seen(n, message));
    }
    let mut reported = Vec::new();
    for (place, instance) in instances.iter().enumerate() {
        let missed = told.missed.get(&place).copied().unwrap_or_default();
        wait::until("what is lost is reported", async || instance.behind() >= missed).await;
        reported.push(instance.reported().await);
    }
    println!(
        "{} changes acknowledged, {} refused, {} of unknown outcome; {} lost, of {:?} sessions by instance; reported {reported:?}",
        told.made, told.refused, told.unknown, told.lost, told.missed
    );
    assert!(told.made > 0);
    Outcome { told, reported }
}

async fn instances(cluster: &Cluster, plan: Plan) -> Vec<Instance> {
    let mut settings = cluster.settings();
    settings.push(("PARTITIONS", PARTITIONS.to_string()));
    settings.push(("REDIS_REPLICAS_MIN", plan.replicas_min.to_string()));
    settings.push(("AUDIT", "off".to_owned()));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut instances = Vec::new();
    for _ in 0..2 {
        instances.push(Instance::start(&cluster.url(), &settings).await);
    }
    instances
}

/// The hash slot of a session.
pub(super) fn slot(n: u64) -> u16 {
    let keyspace = Keyspace::new("", PARTITIONS);
    let session = Uuid::parse(&id(n)).map(SessionId).expect("an id");
    keyspace.slot(keyspace.partition(session))
}

/// Sessions from `first` on, one of each partition.
fn one_of_each_partition(first: u64) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::new();
    for n in first.. {
        if found.len() == usize::from(PARTITIONS) {
            break;
        }
        if found.iter().all(|other| slot(*other) != slot(n)) {
            found.push(n);
        }
    }
    found
}

/// Waits until a session can be changed by way of every instance, and tells how long that took.
async fn back(since: &str, addresses: &[SocketAddr], n: u64) {
    let start = Instant::now();
    for address in addresses {
        let mut client = Connection::open(*address).await;
        wait::until("service is back", async || switch(&mut client, n).await.status == 200).await;
    }
    let took = start.elapsed();
    println!("since {since} it took {took:?}");
    assert!(took < BACK_WITHIN, "{took:?}");
}
