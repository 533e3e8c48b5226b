//! What goes wrong, by a plan that a seed repeats, and when the store may have lost something by it. Does not know what
//! clients do meanwhile.

use std::time::Duration;

use histories::Span;
use test_support::cluster::Cluster;
use test_support::dice::Dice;
use test_support::redis::Redis;
use test_support::sentinel::Group;
use tokio::task::block_in_place;

use super::record::Record;
use super::site::{Kind, Loses, Site, Store};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    InstanceKilled,
    InstanceHalted,
    ConnectionsCut,
    /// Just when a transaction was sent, so that nobody is told what came of it.
    CutAtExec,
    StoreHalted,
    StoreRestarted,
    /// The master is killed, and a replica takes its place.
    MasterKilled,
    /// Another takes its place while it goes on.
    HandedOver,
    DatabaseStopped,
    DatabaseHalted,
    /// The disk takes nothing for a while.
    DiskStalled,
}

/// A slot of each master of a Cluster.
const SLOTS: [u16; 3] = [100, 6_000, 12_000];

/// A fault, whom it meets, and how long it lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strike {
    pub(super) fault: Fault,
    victim: usize,
    length: Duration,
    /// How many changes are made before it.
    pub(super) after: u64,
}

/// What may go wrong with a store of a kind.
fn faults(kind: Kind, is_audited: bool) -> Vec<Fault> {
    let mut all = vec![Fault::InstanceKilled, Fault::InstanceHalted];
    match kind {
        Kind::Always | Kind::EverySecond => {
            all.extend([
                Fault::ConnectionsCut,
                Fault::CutAtExec,
                Fault::CutAtExec,
                Fault::StoreHalted,
                Fault::StoreRestarted,
            ]);
        }
        Kind::Replicated | Kind::Sentinel => {
            all.extend([Fault::ConnectionsCut, Fault::StoreHalted, Fault::MasterKilled, Fault::HandedOver]);
        }
        Kind::Cluster => all.extend([Fault::ConnectionsCut, Fault::StoreHalted, Fault::MasterKilled]),
        Kind::File => all.push(Fault::DiskStalled),
    }
    if is_audited && kind != Kind::File {
        all.extend([Fault::DatabaseStopped, Fault::DatabaseHalted]);
    }
    all
}

/// The plan of a seed, without end: each kind of fault comes once before one comes again.
pub(super) fn plan(kind: Kind, is_audited: bool, seed: u64, changes: u64) -> impl Iterator<Item = Strike> {
    let mut dice = Dice(seed);
    let mut left = Vec::new();
    std::iter::repeat_with(move || {
        if left.is_empty() {
            left = faults(kind, is_audited);
        }
        let fault = left.swap_remove(dice.below(left.len() as u64) as usize);
        Strike {
            fault,
            victim: dice.below(3) as usize,
            length: Duration::from_millis(100 + dice.below(1_400)),
            after: changes / 2 + dice.below(changes + 1),
        }
    })
}

impl Strike {
    /// Carries it out, and mends what it broke; returns when the store may have lost something.
    pub(super) async fn carry_out(&self, site: &mut Site, record: &Record) -> Option<Span> {
        let from = record.now();
        let victim = self.victim % site.instances.len();
        let mut loses = false;
        match self.fault {
            Fault::InstanceKilled => {
                loses = site.kind == Kind::File;
                site.replace(victim).await;
            }
            Fault::InstanceHalted => {
                site.instances[victim].signal("STOP");
                tokio::time::sleep(self.length).await;
                site.instances[victim].signal("CONT");
            }
            Fault::DiskStalled => {
                site.stall("stall journal");
                tokio::time::sleep(self.length).await;
                site.stall("");
            }
            Fault::DatabaseStopped | Fault::DatabaseHalted => self.strike_database(site).await,
            Fault::ConnectionsCut
            | Fault::CutAtExec
            | Fault::StoreHalted
            | Fault::StoreRestarted
            | Fault::MasterKilled
            | Fault::HandedOver => {
                loses = site.kind.loses() != Loses::Nothing
                    && !matches!(self.fault, Fault::ConnectionsCut | Fault::CutAtExec);
                match &mut site.store {
                    Store::Redis(redis, proxies) => {
                        let proxy = &proxies[victim];
                        match self.fault {
                            Fault::ConnectionsCut => proxy.cut(),
                            Fault::CutAtExec => proxy.cut_at_exec(1 + self.victim as u32),
                            _ => strike_redis(self, redis).await,
                        }
                    }
                    Store::Group(group) => strike_group(self, group).await,
                    Store::Cluster(cluster) => strike_cluster(self, cluster).await,
                    Store::File(_) => {}
                }
            }
        }
        loses.then(|| Span { from, to: record.now() })
    }

    async fn strike_database(&self, site: &Site) {
        let Some(postgres) = &site.postgres else { return };
        if self.fault == Fault::DatabaseHalted {
            postgres.lock().signal("STOP");
            tokio::time::sleep(self.length).await;
            postgres.lock().signal("CONT");
        } else {
            block_in_place(|| postgres.lock().stop());
            tokio::time::sleep(self.length).await;
            block_in_place(|| postgres.lock().start_again());
        }
    }
}

async fn strike_redis(strike: &Strike, redis: &mut Redis) {
    if strike.fault == Fault::StoreRestarted {
        block_in_place(|| redis.restart());
    } else {
        redis.signal("STOP");
        tokio::time::sleep(strike.length).await;
        redis.signal("CONT");
    }
}

async fn strike_group(strike: &Strike, group: &mut Group) {
    let master = block_in_place(|| group.master());
    match strike.fault {
        Fault::ConnectionsCut => cut(&mut group.nodes[master].connect()),
        Fault::StoreHalted => {
            group.nodes[master].signal("STOP");
            tokio::time::sleep(strike.length).await;
            group.nodes[master].signal("CONT");
        }
        Fault::HandedOver => block_in_place(|| {
            group.hand_over();
            group.switched(master);
        }),
        _ => block_in_place(|| {
            group.nodes[master].kill();
            group.switched(master);
            group.start_again(master);
        }),
    }
    block_in_place(|| group.heal());
}

async fn strike_cluster(strike: &Strike, cluster: &mut Cluster) {
    let slot = SLOTS[strike.victim % SLOTS.len()];
    let victim = block_in_place(|| cluster.owner(slot));
    match strike.fault {
        Fault::ConnectionsCut => cut(&mut cluster.nodes[victim].connect()),
        Fault::StoreHalted => {
            cluster.nodes[victim].signal("STOP");
            tokio::time::sleep(strike.length).await;
            cluster.nodes[victim].signal("CONT");
        }
        _ => block_in_place(|| {
            cluster.nodes[victim].kill();
            // It comes back with nothing: another must have taken its place.
            cluster.owner(slot);
            cluster.nodes[victim].start_again();
        }),
    }
    block_in_place(|| {
        cluster.wait();
        cluster.wait_for_replicas();
    });
}

/// Cuts everybody's connections to a server.
fn cut(connection: &mut redis::Connection) {
    let mut commands = redis::pipe();
    commands.cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").ignore();
    commands.cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").ignore();
    let _ = commands.exec(connection);
}
