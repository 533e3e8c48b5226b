//! Clients that go on while servers fail, each with sessions of its own: their responses must be consistent. A state shows the
//! numbers of the last changes that led to it, so that lost changes are known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use test_support::dice::Dice;
use test_support::http::Connection;
use test_support::sessions::id;
use test_support::wait;

use super::makers::{Makers, Tag};
use super::{HOUR, start};

const CLIENTS: u64 = 8;
/// Changes of a session that its state shows at least: more than are ever lost at once.
const SHOWN: u64 = 64;
/// How long a client waits before it asks again.
const BACK_OFF: Duration = Duration::from_millis(10);

/// Clients at work.
pub(super) struct Load {
    clients: JoinSet<Vec<Course>>,
    told: Arc<Mutex<Told>>,
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
    /// Changes that were acknowledged and are not there.
    pub(super) lost: u64,
    /// How often an instance, by its place, had acknowledged something of a session that was lost.
    pub(super) missed: HashMap<usize, u64>,
    pub(super) makers: Makers,
}

/// What became of a session, as its client was told.
#[derive(Debug)]
struct Course {
    n: u64,
    newest: Tag,
    /// The number of the next change.
    next: u64,
    /// Changes that the newest state shows.
    shown: BTreeSet<u64>,
    /// Changes that were acknowledged, and by whom.
    acknowledged: BTreeMap<u64, usize>,
    /// Changes of which nobody knows what became.
    unknown: BTreeSet<u64>,
}

impl Load {
    /// Starts `sessions` sessions, and clients that change them by way of any of the instances.
    pub(super) async fn begin(addresses: &[SocketAddr], sessions: u64) -> Self {
        let (told, is_over, mut clients) = (Arc::default(), Arc::new(AtomicBool::new(false)), JoinSet::new());
        let mut setup = Connection::open(addresses[0]).await;
        let mut own: Vec<Vec<_>> = (0..CLIENTS).map(|_| Vec::new()).collect();
        for n in 0..sessions {
            let newest = tag(&start(&mut setup, n, HOUR).await);
            let (shown, acknowledged, unknown) = Default::default();
            own[(n % CLIENTS) as usize].push(Course { n, newest, next: 0, shown, acknowledged, unknown });
        }
        for (client, own) in (0..).zip(own) {
            clients.spawn(drive(addresses.to_vec(), own, client, Arc::clone(&told), Arc::clone(&is_over)));
        }
        Self { clients, told, is_over }
    }

    /// Waits until `count` more changes are acknowledged.
    pub(super) async fn more(&self, count: u64) {
        let target = self.told.lock().made + count;
        wait::until("changes are acknowledged", async || self.told.lock().made >= target).await;
    }

    /// Lets them finish, and adds what is there to what they were told.
    pub(super) async fn end(mut self, client: &mut Connection) -> Told {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(courses) = self.clients.join_next().await {
            for mut course in courses.expect("the client ends well") {
                let state = client.read(&id(course.n)).await;
                course.shows(&state, &mut self.told.lock());
            }
        }
        std::mem::take(&mut self.told.lock())
    }
}

async fn drive(
    addresses: Vec<SocketAddr>,
    mut own: Vec<Course>,
    seed: u64,
    told: Arc<Mutex<Told>>,
    is_over: Arc<AtomicBool>,
) -> Vec<Course> {
    let mut dice = Dice(seed);
    let mut connections = Vec::new();
    for address in addresses {
        connections.push(Connection::open(address).await);
    }
    while !is_over.load(Ordering::Relaxed) {
        let place = dice.below(own.len() as u64) as usize;
        let instance = dice.below(connections.len() as u64) as usize;
        let course = &mut own[place];
        let path = format!("/v1/sessions/{}", id(course.n));
        let (change, body) = course.change();
        let answer = connections[instance].ask("PATCH", &path, &body).await;
        match (answer.status, answer.status == 503 && answer.code() == "UNKNOWN_OUTCOME") {
            (200, _) => {
                let mut told = told.lock();
                course.acknowledged.insert(change, instance);
                course.shows(&answer.json()["data"], &mut told);
                assert!(course.shown.contains(&change), "{answer:?}");
                told.made += 1;
            }
            (_, true) => {
                course.unknown.insert(change);
                told.lock().unknown += 1;
            }
            (503, _) => told.lock().refused += 1,
            _ => panic!("{answer:?}"),
        }
        if answer.status == 503 {
            tokio::time::sleep(BACK_OFF).await;
        }
    }
    own
}

impl Course {
    /// The next change: its number, and a patch that adds it to those that the state shows and takes away old ones.
    fn change(&mut self) -> (u64, String) {
        let number = self.next;
        self.next += 1;
        let old = self.shown.range(..number.saturating_sub(SHOWN));
        let mut metadata: Map<_, _> = old.map(|old| (old.to_string(), Value::Null)).collect();
        metadata.insert(number.to_string(), json!(0));
        metadata.insert("change".to_owned(), json!(number));
        (number, json!({ "metadata": metadata }).to_string())
    }

    /// Compares a state with what is known: each version is one change, and whatever is not there any more is lost.
    fn shows(&mut self, state: &Value, told: &mut Told) {
        let Self { n, newest, shown, acknowledged, unknown, .. } = self;
        let metadata = state["metadata"].as_object();
        let numbers = metadata.into_iter().flat_map(Map::keys).filter_map(|number| number.parse().ok());
        let (tag, shows): (_, BTreeSet<u64>) = (tag(state), numbers.collect());
        let first = self.next.saturating_sub(SHOWN);
        let gone: Vec<_> = shown.difference(&shows).copied().filter(|number| *number >= first).collect();
        let new: Vec<_> = shows.difference(shown).copied().filter(|number| *number >= first).collect();
        let what = format!("session {n}: {tag:?} after {newest:?}, with {new:?} and without {gone:?}");
        let is_told = |number| acknowledged.contains_key(number) || unknown.contains(number);
        assert!(new.iter().all(is_told), "it was refused and made: {what}");
        assert_eq!(tag.1 + gone.len() as u64, newest.1 + new.len() as u64, "versions follow each other: {what}");
        assert!(if gone.is_empty() { tag.0 >= newest.0 } else { tag.0 > newest.0 }, "it is the same epoch: {what}");
        let lost: Vec<_> = gone.iter().filter_map(|number| acknowledged.remove(number)).collect();
        told.lost += lost.len() as u64;
        for instance in lost.into_iter().collect::<BTreeSet<_>>() {
            *told.missed.entry(instance).or_default() += 1;
        }
        if let Some(change) = state["metadata"]["change"].as_u64() {
            told.makers.made(*n, tag, change);
        }
        (*newest, *shown) = (tag, shows);
        acknowledged.retain(|number, _| *number >= first);
        unknown.retain(|number| *number >= first);
    }
}

fn tag(state: &Value) -> Tag {
    (state["epoch"].as_u64().expect("an epoch"), state["version"].as_u64().expect("a version"))
}
