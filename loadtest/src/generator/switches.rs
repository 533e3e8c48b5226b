//! Switches as errands: of sessions that one connection has to itself, over HTTP or its WebSocket, and of one session that
//! several switch at once. Does not know when requests are sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::check::{Checks, NEAR};
use super::drive::Errand;
use super::errands::Turns;
use super::failure::{Failure, Result};
use super::http::{Answer, request};
use super::scan;
use super::sessions::{STARTED, Sessions};
use super::socket;
use super::watch::Topics;

/// How many results a client may have before an update.
const UPDATES_LATE_MAX: u64 = 8;
/// Switches sessions that nobody else switches: each answer must have the version after the last one.
pub(crate) struct Switch {
    sessions: Arc<Sessions>,
    turns: Turns,
    /// Those who watch, and have to be told when a switch was to be sent.
    topics: Option<Arc<Topics>>,
    checks: Checks,
}

impl Switch {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, places: &[usize], topics: Option<&Arc<Topics>>) -> Box<dyn Errand> {
        let turns = Turns::new(sessions, places, |id| request("POST", &format!("/v1/sessions/{id}/switch"), ""));
        let topics = topics.cloned();
        Box::new(Self { sessions: Arc::clone(sessions), turns, topics, checks: Checks::default() })
    }
}

impl Errand for Switch {
    fn next(&mut self, intended: Instant) -> &[u8] {
        let place = self.turns.turn();
        if let Some(topics) = &self.topics {
            topics.sent(place, self.sessions.version(place) + 1, intended);
        }
        self.turns.request()
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        let place = self.turns.place();
        let version = self.sessions.version(place) + 1;
        self.checks.check_switch(&answer, &self.sessions.id(place), version)?;
        self.sessions.saw(place, version);
        Ok(())
    }
}

/// Switches one session over its WebSocket; updates must come over it too, each newer than the last.
pub(crate) struct SwitchOverSocket {
    sessions: Arc<Sessions>,
    place: usize,
    count: u64,
    message: Vec<u8>,
    /// The newest version that came as an update.
    updated: u64,
    checks: Checks,
}

impl SwitchOverSocket {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, place: usize) -> Box<dyn Errand> {
        let (sessions, message, checks) = (Arc::clone(sessions), Vec::new(), Checks::default());
        Box::new(Self { updated: sessions.version(place), sessions, place, count: 0, message, checks })
    }
}

impl Errand for SwitchOverSocket {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.count += 1;
        self.message = socket::text(&format!(r#"{{"type":"SWITCH","request_id":"{}"}}"#, self.count));
        &self.message
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        let request = scan::after(&answer.body[..answer.body.len().min(NEAR)], b"\"request_id\":\"");
        if request.and_then(scan::number) != Some(self.count) {
            return Err(answer.wrong(format_args!("request {} must be answered", self.count)));
        }
        let version = self.sessions.version(self.place) + 1;
        self.checks.check_switch(&answer, &self.sessions.id(self.place), version)?;
        self.sessions.saw(self.place, version);
        // The order of both is free, and a newer update may take the place of one that waits, but not for ever.
        match version.saturating_sub(self.updated) {
            0..=UPDATES_LATE_MAX => Ok(()),
            _ => Err(answer.wrong(format_args!("no update came since version {}", self.updated))),
        }
    }

    fn hear(&mut self, message: &[u8]) -> Result<()> {
        let version = scan::after(message, b"\"version\":").and_then(scan::number);
        match (socket::kind(message), version) {
            (Some("STATE_SYNC"), Some(version)) if version >= self.updated => self.updated = version,
            (Some("STATE_UPDATE"), Some(version)) if version > self.updated => self.updated = version,
            _ => return Err(Failure::wrong(format_args!("must be an update after {}", self.updated), message)),
        }
        Ok(())
    }

    fn socket(&self) -> Option<String> {
        Some(self.sessions.id(self.place))
    }
}

/// Switches one session that others switch too: each version must be the answer to exactly one of them.
pub(crate) struct SwitchTogether {
    id: String,
    request: Vec<u8>,
    given: Arc<Mutex<Given>>,
    last: u64,
    checks: Checks,
}

/// The versions of a session that several connections were given.
pub(crate) struct Given {
    /// All up to this one.
    all_to: u64,
    more: BTreeSet<u64>,
    connections: usize,
}

impl SwitchTogether {
    /// Errands for a number of connections, and what they share.
    pub(crate) fn boxed(id: &str, connections: usize) -> (Vec<Box<dyn Errand>>, Arc<Mutex<Given>>) {
        let given = Arc::new(Mutex::new(Given { all_to: STARTED, more: BTreeSet::new(), connections }));
        let errand = |_| {
            let request = request("POST", &format!("/v1/sessions/{id}/switch"), "");
            let (id, given) = (id.to_owned(), Arc::clone(&given));
            Box::new(Self { id, request, given, last: STARTED, checks: Checks::default() }) as _
        };
        ((0..connections).map(errand).collect(), given)
    }
}

impl Given {
    /// One more; `false` when it was given before, or when more are missing than can still come.
    fn add(&mut self, version: u64) -> bool {
        let is_new = version > self.all_to && self.more.insert(version);
        while self.more.remove(&(self.all_to + 1)) {
            self.all_to += 1;
        }
        // Each of the others may have been given one that it has not read yet, for however long.
        let newest = self.more.last().copied().unwrap_or(self.all_to);
        let missing = newest - self.all_to - self.more.len() as u64;
        is_new && missing < self.connections as u64
    }

    /// Whether none is missing, when all requests were answered.
    pub(crate) fn is_whole(&self) -> bool {
        self.more.is_empty()
    }
}

impl Errand for SwitchTogether {
    fn next(&mut self, _: Instant) -> &[u8] {
        &self.request
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        let tail = &answer.body[answer.body.len().saturating_sub(NEAR)..];
        let version = scan::after_last(tail, b"\"version\":").and_then(scan::number).unwrap_or_default();
        self.checks.check_switch(&answer, &self.id, version)?;
        if version <= self.last || !self.given.lock().add(version) {
            return Err(answer.wrong(format_args!("version {version} after {} is given twice or too late", self.last)));
        }
        self.last = version;
        Ok(())
    }
}
