//! Clients that switch all the time and record their responses, to be compared with what is stored.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use test_support::http::Connection;
use test_support::sessions::id;
use test_support::wait;

use super::{HOUR, start, switch};

/// A request gets its answer in REQUEST_TIMEOUT_MS, which is 2 s; the rest is for a machine that is busy.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);

/// One client for each session, until it is stopped.
pub(super) struct Load {
    tasks: JoinSet<Tally>,
    stop: watch::Sender<bool>,
    told: watch::Receiver<Told>,
}

/// What all clients were told so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) done: u64,
    pub(super) failed: u64,
}

/// What one client was told.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) n: u64,
    /// Epoch and version of each change that was acknowledged, in order.
    pub(super) done: Vec<(u64, u64)>,
    /// Changes of which it was told that the outcome is not known.
    pub(super) unknown: u64,
    /// Changes of which it was told that they were not made.
    pub(super) unavailable: u64,
}

impl Load {
    /// Starts `clients` sessions and a client for each, at one of the addresses in turn.
    pub(super) async fn start(addresses: &[SocketAddr], clients: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = watch::channel(Told::default());
        let mut tasks = JoinSet::new();
        for n in 0..clients {
            let mut client = Connection::open(addresses[n as usize % addresses.len()]).await;
            start(&mut client, n, HOUR).await;
            let (stopped, tell) = (stopped.clone(), tell.clone());
            tasks.spawn(async move {
                let mut tally = Tally { n, done: Vec::new(), unknown: 0, unavailable: 0 };
                while !*stopped.borrow() {
                    let done = tally.switch(&mut client).await;
                    tell.send_modify(|told| if done { told.done += 1 } else { told.failed += 1 });
                }
                tally
            });
        }
        Self { tasks, stop, told }
    }

    /// Waits until `count` more changes are acknowledged.
    pub(super) async fn more(&mut self, count: u64) {
        let start = self.told.borrow().done;
        let told = self.told.clone();
        wait::until("changes are acknowledged", async || told.borrow().done >= start + count).await;
    }

    /// Waits until `count` more requests have failed.
    pub(super) async fn more_failures(&mut self, count: u64) {
        let start = self.told.borrow().failed;
        let told = self.told.clone();
        wait::until("requests fail", async || told.borrow().failed >= start + count).await;
    }

    /// Lets every client finish its request; returns what they were told.
    pub(super) async fn stop(mut self) -> Vec<Tally> {
        self.stop.send_replace(true);
        let mut tallies = Vec::new();
        while let Some(tally) = self.tasks.join_next().await {
            tallies.push(tally.expect("the client ends well"));
        }
        tallies
    }
}

impl Tally {
    async fn switch(&mut self, client: &mut Connection) -> bool {
        let asked = Instant::now();
        let answer = switch(client, self.n).await;
        assert!(asked.elapsed() < ANSWER_TIME_MAX, "an answer took {:?}: {answer:?}", asked.elapsed());
        match (answer.status, answer.status.ne(&200).then(|| answer.code()).as_deref()) {
            (200, None) => {
                let tag = answer.header("etag").and_then(|tag| tag.trim_matches('"').split_once('.')).expect("a tag");
                self.done.push((tag.0.parse().expect("an epoch"), tag.1.parse().expect("a version")));
                true
            }
            (503, Some("UNAVAILABLE")) => {
                self.unavailable += 1;
                false
            }
            (503, Some("UNKNOWN_OUTCOME")) => {
                self.unknown += 1;
                false
            }
            _ => panic!("{answer:?}"),
        }
    }

    /// What must hold when nothing was forgotten: what was acknowledged was made, once; what was refused was not.
    pub(super) async fn check(&self, client: &mut Connection) {
        let found = client.read(&id(self.n)).await["version"].as_u64().expect("a version") - 2;
        let done = self.done.len() as u64;
        assert!((done..=done + self.unknown).contains(&found), "{found} changes were made: {self:?}");
        assert!(self.done.is_sorted_by(|earlier, later| earlier < later && earlier.1 < later.1), "{self:?}");
    }
}
