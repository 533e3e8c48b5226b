//! What all clients and watchers are told, by session, on one monotonic clock; and what nobody should have been told. Does
//! not know what is right.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant as Moment;

use histories::{Answer, Ask, History, Instant, Operation, Sighting, Tag};
use parking_lot::Mutex;

/// Everything that is known.
pub(super) struct Record {
    begin: Moment,
    sessions: Vec<Mutex<History>>,
    marks: AtomicU64,
    pub(super) counts: Counts,
    /// How late clients were told that a clock ran out, by the server's clock, in ms.
    late_ms: Mutex<Vec<u64>>,
    /// What must not be.
    complaints: Mutex<Vec<String>>,
    pub(super) is_over: AtomicBool,
}

/// How often what happened.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) asked: AtomicU64,
    pub(super) changed: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) not_done: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) seen: AtomicU64,
}

impl Record {
    pub(super) fn new(sessions: u64) -> Self {
        Self {
            begin: Moment::now(),
            sessions: (0..sessions).map(|_| Mutex::default()).collect(),
            marks: AtomicU64::new(1),
            counts: Counts::default(),
            late_ms: Mutex::default(),
            complaints: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// The instant now.
    pub(super) fn now(&self) -> Instant {
        self.begin.elapsed().as_nanos() as Instant
    }

    /// A mark that nobody else has.
    pub(super) fn mark(&self) -> u64 {
        self.marks.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count(&self) -> u64 {
        self.sessions.len() as u64
    }

    pub(super) fn add(&self, session: u64, operation: Operation) {
        let Counts { asked, changed, unknown, not_done, refused, .. } = &self.counts;
        asked.fetch_add(1, Ordering::Relaxed);
        let counted = match &operation.answer {
            Answer::Done(_) | Answer::Late(_) | Answer::Gone => (operation.ask != Ask::Read).then_some(changed),
            Answer::Unknown => Some(unknown),
            Answer::NotDone => Some(not_done),
            Answer::Refused(_) => Some(refused),
        };
        counted.iter().for_each(|count| _ = count.fetch_add(1, Ordering::Relaxed));
        self.sessions[session as usize].lock().operations.push(operation);
    }

    pub(super) fn see(&self, session: u64, sighting: Sighting) {
        self.counts.seen.fetch_add(1, Ordering::Relaxed);
        self.sessions[session as usize].lock().sightings.push(sighting);
    }

    pub(super) fn late(&self, ms: u64) {
        self.late_ms.lock().push(ms);
    }

    pub(super) fn complain(&self, complaint: String) {
        self.complaints.lock().push(complaint);
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().clone()
    }

    pub(super) fn lateness(&self) -> Vec<u64> {
        self.late_ms.lock().clone()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The history of a session.
    pub(super) fn history(&self, session: u64) -> History {
        self.sessions[session as usize].lock().clone()
    }

    /// The states of a session that an acknowledged change made: what completes or cancels is answered the same when
    /// it was over.
    pub(super) fn acknowledged(&self, session: u64) -> Vec<Tag> {
        let made = |operation: &Operation| match (&operation.ask, &operation.answer) {
            (Ask::Read | Ask::Complete | Ask::Cancel | Ask::Delete { .. }, _) => None,
            (_, Answer::Done(view)) => Some(view.tag),
            (_, Answer::Late(_) | Answer::Gone | Answer::Refused(_) | Answer::NotDone | Answer::Unknown) => None,
        };
        self.sessions[session as usize].lock().operations.iter().filter_map(made).collect()
    }
}
