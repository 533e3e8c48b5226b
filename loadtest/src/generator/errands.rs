//! What connections do over and over, but for switches: read the floor, create sessions, start them, read them. Does not
//! know when requests are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::check::Checks;
use super::drive::Errand;
use super::failure::Result;
use super::http::{Answer, request};
use super::sessions::{self, CREATED, LONG_MS, Numbers, STARTED, Sessions};

/// Reads what the floor has.
pub(crate) struct Bare(Vec<u8>);

impl Bare {
    pub(crate) fn boxed() -> Box<dyn Errand> {
        Box::new(Self(request("GET", "/", "")))
    }
}

impl Errand for Bare {
    fn next(&mut self, _: Instant) -> &[u8] {
        &self.0
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        match (answer.status, answer.body.len()) {
            (200, 900) => Ok(()),
            _ => Err(answer.wrong("the floor is 900 bytes")),
        }
    }
}

/// Creates sessions, each of them new.
pub(crate) struct Create {
    numbers: Arc<Numbers>,
    id: String,
    request: Vec<u8>,
    checks: Checks,
}

impl Create {
    pub(crate) fn boxed(numbers: &Arc<Numbers>) -> Box<dyn Errand> {
        let numbers = Arc::clone(numbers);
        Box::new(Self { numbers, id: String::new(), request: Vec::new(), checks: Checks::default() })
    }
}

impl Errand for Create {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.id = self.numbers.next_id();
        self.request = request("POST", "/v1/sessions", &sessions::body(&self.id, LONG_MS / 2));
        &self.request
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        self.checks.check_state(&answer, 201, &self.id, CREATED)
    }
}

/// Creates given sessions or starts them; several connections share them.
pub(crate) struct Make {
    sessions: Arc<Sessions>,
    next: Arc<AtomicUsize>,
    step: Step,
    id: String,
    request: Vec<u8>,
    checks: Checks,
}

/// What is done to given sessions.
#[derive(Clone)]
pub(crate) enum Step {
    /// They are created, each player with a time that depends on the session's place.
    Create(Arc<dyn Fn(usize) -> u64 + Send + Sync>),
    /// They are started.
    Start,
}

impl Make {
    /// Errands for a number of connections, which go through the sessions from a place on.
    pub(crate) fn boxed(
        sessions: &Arc<Sessions>,
        from: usize,
        step: &Step,
        connections: usize,
    ) -> Vec<Box<dyn Errand>> {
        let next = Arc::new(AtomicUsize::new(from));
        let errand = |_| {
            let (sessions, next, step) = (Arc::clone(sessions), Arc::clone(&next), step.clone());
            let (id, request) = (String::new(), Vec::new());
            Box::new(Self { sessions, next, step, id, request, checks: Checks::default() }) as _
        };
        (0..connections).map(errand).collect()
    }
}

impl Errand for Make {
    fn next(&mut self, _: Instant) -> &[u8] {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        self.id = self.sessions.id(place);
        self.request = match &self.step {
            Step::Create(time_ms) => request("POST", "/v1/sessions", &sessions::body(&self.id, time_ms(place))),
            Step::Start => request("POST", &format!("/v1/sessions/{}/start", self.id), ""),
        };
        &self.request
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        match self.step {
            Step::Create(_) => self.checks.check_state(&answer, 201, &self.id, CREATED),
            Step::Start => self.checks.check_state(&answer, 200, &self.id, STARTED),
        }
    }
}

/// Reads sessions, each of which must be as its last switch left it.
pub(crate) struct Read {
    sessions: Arc<Sessions>,
    turns: Turns,
    checks: Checks,
}

impl Read {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, places: &[usize]) -> Box<dyn Errand> {
        let turns = Turns::new(sessions, places, |id| request("GET", &format!("/v1/sessions/{id}"), ""));
        Box::new(Self { sessions: Arc::clone(sessions), turns, checks: Checks::default() })
    }
}

impl Errand for Read {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.turns.turn();
        self.turns.request()
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        let place = self.turns.place();
        self.checks.check_state(&answer, 200, &self.sessions.id(place), self.sessions.version(place))
    }
}

/// The requests of a connection, one for each of its sessions, in turns.
pub(super) struct Turns {
    requests: Vec<(usize, Vec<u8>)>,
    now: usize,
    next: usize,
}

impl Turns {
    pub(super) fn new(sessions: &Sessions, places: &[usize], request: impl Fn(&str) -> Vec<u8>) -> Self {
        let requests = places.iter().map(|&place| (place, request(&sessions.id(place))));
        Self { requests: requests.collect(), now: 0, next: 0 }
    }

    /// The next session's turn.
    pub(super) fn turn(&mut self) -> usize {
        self.now = self.next;
        self.next = (self.now + 1) % self.requests.len();
        self.place()
    }

    /// The session whose turn it is.
    pub(super) fn place(&self) -> usize {
        self.requests[self.now].0
    }

    pub(super) fn request(&self) -> &[u8] {
        &self.requests[self.now].1
    }
}
