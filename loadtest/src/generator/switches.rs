//! Workloads that switch: sessions that one connection has to itself, over HTTP or its WebSocket, and one session that several
//! connections switch at once. Does not know when requests are sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::check::{Checks, NEAR};

use super::failure::{Failure, Result};
use super::http::{Response, request};
use super::scan;
use super::sessions::{STARTED, Sessions};
use super::socket;
use super::watchers::UpdateTracker;
use super::workload::{RoundRobin, Workload};

/// How many results a client may receive ahead of an update.
const UPDATES_LATE_MAX: u64 = 8;
/// Switches sessions that no other client switches: each response must have the version after the last one.
pub(crate) struct Switch {
    sessions: Arc<Sessions>,
    requests: RoundRobin,
    /// Learns when each switch was to be sent, if clients watch.
    tracker: Option<Arc<UpdateTracker>>,
    checks: Checks,
}

impl Switch {
    pub(crate) fn boxed(
        sessions: &Arc<Sessions>,
        indexes: &[usize],
        tracker: Option<&Arc<UpdateTracker>>,
    ) -> Box<dyn Workload> {
        let requests =
            RoundRobin::new(sessions, indexes, |id| request("POST", &format!("/v1/sessions/{id}/switch"), ""));
        let tracker = tracker.cloned();
        Box::new(Self { sessions: Arc::clone(sessions), requests, tracker, checks: Checks::default() })
    }
}

impl Workload for Switch {
    fn next(&mut self, intended: Instant) -> &[u8] {
        let index = self.requests.advance();
        if let Some(tracker) = &self.tracker {
            tracker.sent(index, self.sessions.version(index) + 1, intended);
        }
        self.requests.request()
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        let index = self.requests.index();
        let version = self.sessions.version(index) + 1;
        self.checks.check_switch(&response, &self.sessions.id(index), version)?;
        self.sessions.saw(index, version);
        Ok(())
    }
}

/// Switches one session over its WebSocket; updates must come over it too, each newer than the last.
pub(crate) struct SwitchOverSocket {
    sessions: Arc<Sessions>,
    index: usize,
    count: u64,
    message: Vec<u8>,
    /// The newest version that came as an update.
    updated: u64,
    checks: Checks,
}

impl SwitchOverSocket {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, index: usize) -> Box<dyn Workload> {
        let (sessions, message, checks) = (Arc::clone(sessions), Vec::new(), Checks::default());
        Box::new(Self { updated: sessions.version(index), sessions, index, count: 0, message, checks })
    }
}

impl Workload for SwitchOverSocket {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.count += 1;
        self.message = socket::text(&format!(r#"{{"type":"SWITCH","request_id":"{}"}}"#, self.count));
        &self.message
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        let request = scan::after(&response.body[..response.body.len().min(NEAR)], b"\"request_id\":\"");
        if request.and_then(scan::number) != Some(self.count) {
            return Err(response.wrong(format_args!("request {} must be answered", self.count)));
        }
        let version = self.sessions.version(self.index) + 1;
        self.checks.check_switch(&response, &self.sessions.id(self.index), version)?;
        self.sessions.saw(self.index, version);
        // The order of both is free, and a newer update may take the place of one that waits, but not for ever.
        match version.saturating_sub(self.updated) {
            0..=UPDATES_LATE_MAX => Ok(()),
            _ => Err(response.wrong(format_args!("no update came since version {}", self.updated))),
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
        Some(self.sessions.id(self.index))
    }
}

/// Switches one session that others switch too: each version must be the response to exactly one of them.
pub(crate) struct SwitchTogether {
    id: String,
    request: Vec<u8>,
    given: Arc<Mutex<AnsweredVersions>>,
    last: u64,
    checks: Checks,
}

/// The versions of a session in the responses of several connections.
pub(crate) struct AnsweredVersions {
    /// Every version up to this one was in a response.
    all_to: u64,
    more: BTreeSet<u64>,
    connections: usize,
}

impl SwitchTogether {
    /// Workloads for a number of connections, and what they share.
    pub(crate) fn boxed(id: &str, connections: usize) -> (Vec<Box<dyn Workload>>, Arc<Mutex<AnsweredVersions>>) {
        let given = Arc::new(Mutex::new(AnsweredVersions { all_to: STARTED, more: BTreeSet::new(), connections }));
        let workload = |_| {
            let request = request("POST", &format!("/v1/sessions/{id}/switch"), "");
            let (id, given) = (id.to_owned(), Arc::clone(&given));
            Box::new(Self { id, request, given, last: STARTED, checks: Checks::default() }) as _
        };
        ((0..connections).map(workload).collect(), given)
    }
}

impl AnsweredVersions {
    /// Adds a version; `false` when it is a duplicate, or when more are missing than can still come.
    fn add(&mut self, version: u64) -> bool {
        let is_new = version > self.all_to && self.more.insert(version);
        while self.more.remove(&(self.all_to + 1)) {
            self.all_to += 1;
        }
        // Each other connection may have one response under way, for however long.
        let newest = self.more.last().copied().unwrap_or(self.all_to);
        let missing = newest - self.all_to - self.more.len() as u64;
        is_new && missing < self.connections as u64
    }

    /// Whether no version is missing after all requests were answered.
    pub(crate) fn is_whole(&self) -> bool {
        self.more.is_empty()
    }
}

impl Workload for SwitchTogether {
    fn next(&mut self, _: Instant) -> &[u8] {
        &self.request
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        let tail = &response.body[response.body.len().saturating_sub(NEAR)..];
        let version = scan::after_last(tail, b"\"version\":").and_then(scan::number).unwrap_or_default();
        self.checks.check_switch(&response, &self.id, version)?;
        if version <= self.last || !self.given.lock().add(version) {
            return Err(
                response.wrong(format_args!("version {version} after {} is given twice or too late", self.last))
            );
        }
        self.last = version;
        Ok(())
    }
}
