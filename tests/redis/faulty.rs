//! Clients that go on while servers fail, each with sessions of its own: what they are told must make sense.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::support::dice::Dice;
use crate::support::http::Connection;
use crate::support::sessions::id;

use super::{HOUR, start};

const CLIENTS: u64 = 8;

/// Clients at work.
pub(super) struct Load {
    clients: JoinSet<Told>,
    is_over: Arc<AtomicBool>,
}

/// What clients were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Changes that were acknowledged.
    pub(super) made: u64,
    /// Changes that were refused because the store was away.
    pub(super) refused: u64,
    /// Changes of unknown outcome.
    pub(super) unknown: u64,
    /// How often a session was found set back behind what had been acknowledged.
    pub(super) set_back: u64,
    /// Acknowledged changes that were gone then.
    pub(super) lost: u64,
    /// Newest epoch and version of each session that was acknowledged, and changes of unknown outcome since.
    pub(super) newest: Vec<(u64, (u64, u64), u64)>,
}

impl Load {
    /// Starts `sessions` sessions, and clients that change them by way of any of the instances.
    pub(super) async fn begin(addresses: &[SocketAddr], sessions: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        let mut setup = Connection::open(addresses[0]).await;
        for n in 0..sessions {
            start(&mut setup, n, HOUR).await;
        }
        for client in 0..CLIENTS {
            let own: Vec<_> = (0..sessions).filter(|n| n % CLIENTS == client).collect();
            clients.spawn(drive(addresses.to_vec(), own, client, Arc::clone(&is_over)));
        }
        Self { clients, is_over }
    }

    /// Lets them finish, and adds up what they were told.
    pub(super) async fn end(mut self) -> Told {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        while let Some(client) = self.clients.join_next().await {
            let told = client.expect("the client ends well");
            all.made += told.made;
            all.refused += told.refused;
            all.unknown += told.unknown;
            all.set_back += told.set_back;
            all.lost += told.lost;
            all.newest.extend(told.newest);
        }
        all
    }
}

async fn drive(addresses: Vec<SocketAddr>, own: Vec<u64>, seed: u64, is_over: Arc<AtomicBool>) -> Told {
    let mut dice = Dice(seed);
    let mut connections = Vec::new();
    for address in addresses {
        connections.push(Connection::open(address).await);
    }
    let mut told = Told { newest: own.iter().map(|n| (*n, (0, 2), 0)).collect(), ..Told::default() };
    let mut seen = HashSet::new();
    for number in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let place = dice.below(own.len() as u64) as usize;
        let client = dice.below(connections.len() as u64) as usize;
        let path = format!("/v1/sessions/{}", id(told.newest[place].0));
        let answer = connections[client].ask("PATCH", &path, &format!(r#"{{"metadata":{{"n":{number}}}}}"#)).await;
        match (answer.status, answer.status == 503 && answer.code() == "UNKNOWN_OUTCOME") {
            (200, _) => {
                let state = &answer.json()["data"];
                let tag = (state["epoch"].as_u64().expect("an epoch"), state["version"].as_u64().expect("a version"));
                assert!(seen.insert((told.newest[place].0, tag)), "{tag:?} was acknowledged before");
                told.take(place, tag);
            }
            (_, true) => {
                told.unknown += 1;
                told.newest[place].2 += 1;
            }
            (503, _) => told.refused += 1,
            _ => panic!("{answer:?}"),
        }
    }
    told
}

impl Told {
    /// One more change was acknowledged of the session at `place`.
    fn take(&mut self, place: usize, (epoch, version): (u64, u64)) {
        let (n, newest, unknown) = &mut self.newest[place];
        let next = newest.1 + 1;
        let is_consecutive = (next..=next + *unknown).contains(&version);
        if epoch > newest.0 && newest.0 > 0 && version < next {
            self.set_back += 1;
            self.lost += next - version;
        } else {
            assert!(is_consecutive, "session {n}: {version} after {newest:?} and {unknown} of unknown outcome");
            assert!(epoch >= newest.0, "session {n}: epoch {epoch} after {newest:?}");
        }
        (*newest, *unknown) = ((epoch, version), 0);
        self.made += 1;
    }
}
