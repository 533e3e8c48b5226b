//! What a workload is, and those that switch nothing: read the baseline, create sessions, start them, read them. Does not know
//! when requests are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::check::Checks;

use super::failure::Result;
use super::http::{Response, request};
use super::sessions::{self, CREATED, LONG_MS, STARTED, SessionIds, Sessions};

/// What a connection does over and over: the next request, and whether its response is right.
pub(crate) trait Workload: Send {
    /// The bytes to send next, which were to be sent at `intended`.
    fn next(&mut self, intended: Instant) -> &[u8];

    /// Checks the response.
    fn check(&mut self, response: Response<'_>) -> Result<()>;

    /// Checks a message that the server pushed over the WebSocket.
    fn hear(&mut self, message: &[u8]) -> Result<()> {
        let _ = message;
        Ok(())
    }

    /// The session whose WebSocket the workload uses; `None` is HTTP.
    fn socket(&self) -> Option<String> {
        None
    }
}

/// Reads the 900 bytes of the baseline.
pub(crate) struct Bare(Vec<u8>);

impl Bare {
    pub(crate) fn boxed() -> Box<dyn Workload> {
        Box::new(Self(request("GET", "/", "")))
    }
}

impl Workload for Bare {
    fn next(&mut self, _: Instant) -> &[u8] {
        &self.0
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        match (response.status, response.body.len()) {
            (200, 900) => Ok(()),
            _ => Err(response.wrong("the baseline is 900 bytes")),
        }
    }
}

/// Creates sessions, each of them new.
pub(crate) struct Create {
    session_ids: Arc<SessionIds>,
    id: String,
    request: Vec<u8>,
    checks: Checks,
}

impl Create {
    pub(crate) fn boxed(session_ids: &Arc<SessionIds>) -> Box<dyn Workload> {
        let session_ids = Arc::clone(session_ids);
        Box::new(Self { session_ids, id: String::new(), request: Vec::new(), checks: Checks::default() })
    }
}

impl Workload for Create {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.id = self.session_ids.next_id();
        self.request = request("POST", "/v1/sessions", &sessions::body(&self.id, LONG_MS / 2));
        &self.request
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        self.checks.check_state(&response, 201, &self.id, CREATED)
    }
}

/// Creates given sessions or starts them; several connections share them.
pub(crate) struct Setup {
    sessions: Arc<Sessions>,
    next: Arc<AtomicUsize>,
    step: SetupStep,
    id: String,
    request: Vec<u8>,
    checks: Checks,
}

/// A step of the set-up of sessions.
#[derive(Clone)]
pub(crate) enum SetupStep {
    /// Creates them, with a time for each player that depends on the session's index.
    Create(Arc<dyn Fn(usize) -> u64 + Send + Sync>),
    /// Starts them.
    Start,
}

impl Setup {
    /// Workloads for a number of connections, which go through the sessions from an index on.
    pub(crate) fn boxed(
        sessions: &Arc<Sessions>,
        from: usize,
        step: &SetupStep,
        connections: usize,
    ) -> Vec<Box<dyn Workload>> {
        let next = Arc::new(AtomicUsize::new(from));
        let workload = |_| {
            let (sessions, next, step) = (Arc::clone(sessions), Arc::clone(&next), step.clone());
            let (id, request) = (String::new(), Vec::new());
            Box::new(Self { sessions, next, step, id, request, checks: Checks::default() }) as _
        };
        (0..connections).map(workload).collect()
    }
}

impl Workload for Setup {
    fn next(&mut self, _: Instant) -> &[u8] {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.id = self.sessions.id(index);
        self.request = match &self.step {
            SetupStep::Create(time_ms) => request("POST", "/v1/sessions", &sessions::body(&self.id, time_ms(index))),
            SetupStep::Start => request("POST", &format!("/v1/sessions/{}/start", self.id), ""),
        };
        &self.request
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        match self.step {
            SetupStep::Create(_) => self.checks.check_state(&response, 201, &self.id, CREATED),
            SetupStep::Start => self.checks.check_state(&response, 200, &self.id, STARTED),
        }
    }
}

/// Reads sessions and checks that each is as its last switch left it.
pub(crate) struct Read {
    sessions: Arc<Sessions>,
    requests: RoundRobin,
    checks: Checks,
}

impl Read {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, indexes: &[usize]) -> Box<dyn Workload> {
        let requests = RoundRobin::new(sessions, indexes, |id| request("GET", &format!("/v1/sessions/{id}"), ""));
        Box::new(Self { sessions: Arc::clone(sessions), requests, checks: Checks::default() })
    }
}

impl Workload for Read {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.requests.advance();
        self.requests.request()
    }

    fn check(&mut self, response: Response<'_>) -> Result<()> {
        let index = self.requests.index();
        self.checks.check_state(&response, 200, &self.sessions.id(index), self.sessions.version(index))
    }
}

/// The requests of a connection, one for each of its sessions, round robin.
pub(super) struct RoundRobin {
    requests: Vec<(usize, Vec<u8>)>,
    now: usize,
    next: usize,
}

impl RoundRobin {
    pub(super) fn new(sessions: &Sessions, indexes: &[usize], request: impl Fn(&str) -> Vec<u8>) -> Self {
        let requests = indexes.iter().map(|&index| (index, request(&sessions.id(index))));
        Self { requests: requests.collect(), now: 0, next: 0 }
    }

    /// Moves on to the next session, and returns its index.
    pub(super) fn advance(&mut self) -> usize {
        self.now = self.next;
        self.next = (self.now + 1) % self.requests.len();
        self.index()
    }

    /// The index of the current session.
    pub(super) fn index(&self) -> usize {
        self.requests[self.now].0
    }

    pub(super) fn request(&self) -> &[u8] {
        &self.requests[self.now].1
    }
}
