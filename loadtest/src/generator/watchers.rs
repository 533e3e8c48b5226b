//! Clients that watch sessions, and the latency of fan-out: from when a change was to be sent until one client has the update,
//! and until all have it. Every client must receive the same updates, in order, and the newest at the end. Does not know who
//! makes changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::failure::{Failure, Result};
use super::sample::{Sample, SharedSample};
use super::scan;
use super::sessions::Sessions;
use super::socket::{self, Socket};

/// How long the last updates may take to reach every client.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tracks updates until every client of their session has received them.
pub(crate) struct UpdateTracker {
    sessions: Vec<Mutex<WatchedSession>>,
    /// How many watch each session.
    watchers: usize,
    /// From a change to one client, and to all of a session.
    samples: Mutex<[SharedSample; 2]>,
    /// Updates that some client has not received.
    underway: AtomicU64,
    /// How often a client received a newer state instead.
    skipped: AtomicU64,
}

/// The updates of one session that some client has not received.
struct WatchedSession {
    /// The newest version that all clients have received.
    seen_by_all: u64,
    changes: VecDeque<Change>,
}

struct Change {
    intended: Instant,
    seen_by: usize,
    /// The state that the first client received.
    state: Option<Box<[u8]>>,
}

impl UpdateTracker {
    /// Tracks sessions with `watchers` clients each.
    pub(crate) fn new(sessions: &Sessions, watchers: usize) -> Arc<Self> {
        let session =
            |index| Mutex::new(WatchedSession { seen_by_all: sessions.version(index), changes: VecDeque::new() });
        Arc::new(Self {
            sessions: (0..sessions.len()).map(session).collect(),
            watchers,
            samples: Mutex::new([Sample::shared(), Sample::shared()]),
            underway: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        })
    }

    /// Records latencies into these samples from now on: until one client has an update, until all have it.
    pub(crate) fn begin(&self, samples: [SharedSample; 2]) {
        for sample in &samples {
            sample.lock().begin(Instant::now());
        }
        *self.samples.lock() = samples;
    }

    /// A change to `version` was to be sent at `intended`, and is sent now.
    pub(crate) fn sent(&self, index: usize, version: u64, intended: Instant) {
        let mut session = self.sessions[index].lock();
        debug_assert_eq!(version, session.seen_by_all + session.changes.len() as u64 + 1, "changes are sent in order");
        session.changes.push_back(Change { intended, seen_by: 0, state: None });
        self.underway.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until all clients have received all updates; returns how often one received a newer state instead.
    pub(crate) async fn wait_until_seen(&self) -> Result<u64> {
        let start = Instant::now();
        while self.underway.load(Ordering::Relaxed) > 0 {
            if start.elapsed() > PATIENCE {
                let late = self.underway.load(Ordering::Relaxed);
                return Err(Failure::Wrong(format!("{late} changes have not reached everybody after {PATIENCE:?}")));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let now = Instant::now();
        for sample in self.samples.lock().iter() {
            sample.lock().end(now);
        }
        Ok(self.skipped.swap(0, Ordering::Relaxed))
    }

    /// A client whose newest version was `last` receives `version`.
    fn show(&self, index: usize, last: u64, version: u64, message: &[u8]) -> Result<()> {
        let now = Instant::now();
        let wrong = |why: &str| Failure::wrong(format_args!("{why} after version {last}"), message);
        let state = scan::after(message, b"\"state\":").ok_or_else(|| wrong("an update without a state"))?;
        let mut session = self.sessions[index].lock();
        let WatchedSession { seen_by_all, changes } = &mut *session;
        let index_of = |version: u64| version.checked_sub(*seen_by_all + 1).map(|index| index as usize);
        let newest = index_of(version).filter(|index| *index < changes.len());
        let newest = newest.ok_or_else(|| wrong("a version that nobody has made or that all have seen"))?;
        let first = index_of(last + 1).filter(|first| *first <= newest).ok_or_else(|| wrong("not a newer version"))?;
        match &changes[newest].state {
            Some(shown) if **shown != *state => return Err(wrong("others were shown something else")),
            Some(_) => {}
            None => changes[newest].state = Some(state.into()),
        }
        let samples = self.samples.lock();
        let [each, all] = &*samples;
        for change in changes.range_mut(first..=newest) {
            change.seen_by += 1;
            each.lock().add(now, now - change.intended, None);
        }
        while changes.front().is_some_and(|change| change.seen_by == self.watchers) {
            let change = changes.pop_front().expect("it is there");
            *seen_by_all += 1;
            self.underway.fetch_sub(1, Ordering::Relaxed);
            all.lock().add(now, now - change.intended, None);
        }
        self.skipped.fetch_add((newest - first) as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Watches one session until a message is wrong.
pub(crate) async fn watch(
    mut socket: Socket,
    sessions: Arc<Sessions>,
    tracker: Arc<UpdateTracker>,
    index: usize,
) -> Failure {
    let id = sessions.id(index);
    let mut last = None;
    loop {
        let message = match socket.message().await {
            Ok(message) => message,
            Err(failure) => return failure,
        };
        let version = scan::after(message, b"\"version\":").and_then(scan::number);
        if socket::session(message) != Some(&id) {
            return Failure::wrong(format_args!("a message to a client of {id}"), message);
        }
        let shown = match (socket::kind(message), version, last) {
            (Some("STATE_SYNC"), Some(_), None) => Ok(()),
            (Some("STATE_UPDATE"), Some(version), Some(last)) => tracker.show(index, last, version, message),
            _ => Err(Failure::wrong("not what a client expects that watches", message)),
        };
        if let Err(failure) = shown {
            return failure;
        }
        last = version;
    }
}
