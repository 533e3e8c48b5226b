//! Clients that change sessions all the time, and their responses, to be compared with what a server has. Each change has a
//! number of its own, which the state shows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;

use test_support::http::{Answer, Connection};
use test_support::sessions::id;
use test_support::wait;

use super::super::makers::{Makers, Tag};
use super::super::{HOUR, start};

/// A request gets its answer in REQUEST_TIMEOUT_MS, which is 2 s; the rest is for a machine that is busy.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(6);

/// How long a client waits before it asks again.
const BACK_OFF: Duration = Duration::from_millis(10);

/// A change that a client was told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    pub(super) session: u64,
    /// The place of the instance that told it.
    pub(super) instance: usize,
    pub(super) tag: Tag,
    /// Its own number.
    change: u64,
    pub(super) at: Instant,
}

/// What all clients were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) done: Vec<Acknowledged>,
    /// Changes of which it was told that the outcome is not known.
    pub(super) unknown: u64,
    /// Changes of which it was told that they were not made.
    pub(super) refused: u64,
}

impl Told {
    /// Which states the changes that were acknowledged have made.
    pub(super) fn makers(&self) -> Makers {
        let mut makers = Makers::default();
        self.done.iter().for_each(|it| makers.made(it.session, it.tag, it.change));
        makers
    }
}

/// Clients, until they are stopped.
pub(super) struct Ledger {
    told: Arc<Mutex<Told>>,
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Ledger {
    /// Starts so many sessions with a client for each, at the instances in turn; every fourth session has a second
    /// client at another instance.
    pub(super) async fn start(instances: &[SocketAddr], sessions: u64) -> Self {
        let mut setup = Connection::open(instances[0]).await;
        let mut ledger = Self { told: Arc::default(), is_over: Arc::default(), tasks: JoinSet::new() };
        for session in 0..sessions {
            start(&mut setup, session, HOUR).await;
            let place = session as usize % instances.len();
            for second in 0..1 + usize::from(session % 4 == 0) {
                let instance = (place + second) % instances.len();
                let client = Connection::open(instances[instance]).await;
                let first = (2 * session + second as u64) << 32;
                let (told, is_over) = (Arc::clone(&ledger.told), Arc::clone(&ledger.is_over));
                ledger.tasks.spawn(play(client, session, instance, first, told, is_over));
            }
        }
        ledger
    }

    /// Whatever was told so far.
    pub(super) fn told(&self) -> parking_lot::MutexGuard<'_, Told> {
        self.told.lock()
    }

    /// Waits until `count` more changes are acknowledged.
    pub(super) async fn more(&self, count: usize) {
        let target = self.told().done.len() + count;
        let patience = Duration::from_secs(60);
        wait::within(patience, "changes are acknowledged", async || self.told().done.len() >= target).await;
    }

    /// Waits until clients have been told `count` times more what came of their changes, or that nobody knows.
    pub(super) async fn more_answers(&self, count: u64) {
        let answers = || {
            let told = self.told();
            told.done.len() as u64 + told.unknown
        };
        let target = answers() + count;
        wait::until("clients get answers", async || answers() >= target).await;
    }

    /// When each instance first acknowledged something of an epoch that is not before `epoch`, which began after
    /// `since`; waits for it.
    pub(super) async fn served(&self, epoch: u64, since: Instant, instances: usize) -> Vec<Instant> {
        let mut first = vec![None; instances];
        wait::within(Duration::from_secs(60), "every instance serves again", async || {
            let told = self.told();
            for it in told.done.iter().rev().take_while(|it| it.at > since).filter(|it| it.tag.0 >= epoch) {
                first[it.instance] = Some(it.at);
            }
            first.iter().all(Option::is_some)
        })
        .await;
        first.into_iter().flatten().collect()
    }

    /// Lets every client finish its request; returns what they were told.
    pub(super) async fn stop(mut self) -> Told {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("the client ends well");
        }
        std::mem::take(&mut *self.told.lock())
    }
}

async fn play(
    mut client: Connection,
    session: u64,
    instance: usize,
    first: u64,
    told: Arc<Mutex<Told>>,
    is_over: Arc<AtomicBool>,
) {
    let path = format!("/v1/sessions/{}", id(session));
    for change in first.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let asked = Instant::now();
        let answer = client.ask("PATCH", &path, &format!(r#"{{"metadata":{{"change":{change}}}}}"#)).await;
        let at = Instant::now();
        assert!(at - asked < ANSWER_TIME_MAX, "an answer took {:?}: {answer:?}", at - asked);
        if answer.status == 503 {
            tokio::time::sleep(BACK_OFF).await;
        }
        let mut told = told.lock();
        match answer.status {
            200 => told.done.push(Acknowledged { session, instance, tag: tag(&answer), change, at }),
            503 if answer.code() == "UNKNOWN_OUTCOME" => told.unknown += 1,
            503 | 409 => told.refused += 1,
            _ => panic!("{answer:?}"),
        }
    }
}

fn tag(answer: &Answer) -> Tag {
    let tag = answer.header("etag").and_then(|tag| tag.trim_matches('"').split_once('.')).expect("a tag");
    (tag.0.parse().expect("an epoch"), tag.1.parse().expect("a version"))
}

/// Which state each server has, and the number of the change that made it.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(pub(super) HashMap<u64, (Tag, Option<u64>)>);

impl Kept {
    /// What a server has of so many sessions.
    pub(super) fn read(connection: &mut redis::Connection, sessions: u64) -> Self {
        let mut command = redis::cmd("MGET");
        for session in 0..sessions {
            command.arg(format!("session:{}", id(session)));
        }
        let values: Vec<Option<Vec<u8>>> = command.query(connection).expect("it answers");
        let state = |value: &[u8]| {
            let state: Value = serde_json::from_slice(value).expect("a state is JSON");
            let tag = (state["epoch"].as_u64().expect("an epoch"), state["version"].as_u64().expect("a version"));
            (tag, state["metadata"]["change"].as_u64())
        };
        let kept = (0..).zip(values).filter_map(|(session, value)| Some((session, state(&value?))));
        Self(kept.collect())
    }
}
