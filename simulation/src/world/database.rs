//! The audit's database: rows by event, written in transactions that can fail, hang, or be carried out although the answer
//! is lost. Does not know who writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use synckairos::audit::{Sink, WriteError};
use synckairos::engine::{SessionId, StateTag, Uuid};
use synckairos::wire;

use crate::dice::Dice;

/// How often things go wrong: once in so many times each; `None` is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatabaseFaults {
    /// It cannot be reached.
    pub away: Option<u64>,
    /// It is too slow.
    pub slow: Option<u64>,
    /// A transaction is carried out and its answer is lost.
    pub lost_answer: Option<u64>,
    /// It refuses a transaction, and may take it later.
    pub refuses: Option<u64>,
}

/// A change that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The change.
    pub event: Uuid,
    /// Whose.
    pub session: SessionId,
    /// The state that it made.
    pub tag: StateTag,
    /// When it was judged, in milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of change.
    pub kind: String,
    /// All that happened, as JSON.
    pub events: String,
    /// The client's own, in the state that it made.
    pub metadata: Option<String>,
}

/// A database. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Database(Arc<Mutex<State>>);

struct State {
    rows: BTreeMap<Uuid, Row>,
    faults: DatabaseFaults,
    dice: Dice,
    /// Jobs that could not be read, or that another one contradicts.
    wrong: Vec<String>,
}

impl Database {
    /// An empty one.
    pub fn new(dice: Dice) -> Self {
        let state = State { rows: BTreeMap::new(), faults: DatabaseFaults::default(), dice, wrong: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// From now on things go wrong so often.
    pub fn set_faults(&self, faults: DatabaseFaults) {
        self.state().faults = faults;
    }

    /// All rows, in the order of sessions and their states.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self.state().rows.values().cloned().collect();
        rows.sort_by_key(|row| (row.session, row.tag, row.event));
        rows
    }

    /// What was wrong with jobs.
    pub fn wrong(&self) -> Vec<String> {
        self.state().wrong.clone()
    }

    /// A connection to it.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(DatabaseSink(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_fault(&mut self, once_in: Option<u64>) -> bool {
        once_in.is_some_and(|times| self.dice.is_one_in(times))
    }

    fn take(&mut self, job: &[u8]) {
        let row = match wire::audit_row(job) {
            Ok(row) => row,
            Err(why) => return self.wrong.push(why),
        };
        let change = row.change;
        let row = Row {
            event: change.name.event,
            session: change.name.session,
            tag: change.name.tag,
            at_ms: change.name.at.as_ms(),
            kind: change.kind.to_owned(),
            events: String::from_utf8_lossy(&change.events).into_owned(),
            metadata: row.state.metadata.map(str::to_owned),
        };
        let known = self.rows.entry(row.event).or_insert_with(|| row.clone());
        if *known != row {
            self.wrong.push(format!("one event, two rows: {known:?} and {row:?}"));
        }
    }
}

struct DatabaseSink(Database);

impl Sink for DatabaseSink {
    fn write(&mut self, jobs: &[&[u8]]) -> Result<(), WriteError> {
        let mut state = self.0.state();
        let faults = state.faults;
        let why = || "the simulation has it so".to_owned();
        if state.is_fault(faults.away) {
            return Err(WriteError::Unavailable(why()));
        }
        if state.is_fault(faults.slow) {
            return Err(WriteError::Timeout(why()));
        }
        if state.is_fault(faults.refuses) {
            return Err(WriteError::Unclear(why()));
        }
        jobs.iter().for_each(|job| state.take(job));
        if state.is_fault(faults.lost_answer) {
            return Err(WriteError::Unavailable(why()));
        }
        Ok(())
    }

    fn probe(&mut self) -> Result<(), WriteError> {
        let mut state = self.0.state();
        let away = state.faults.away;
        if state.is_fault(away) { Err(WriteError::Unavailable("it is away".to_owned())) } else { Ok(()) }
    }

    fn disconnect(&mut self) {}
}
