//! What connections do over and over, and what a right answer is. Of every answer the status, the session, the version and
//! whose turn it is are looked at; one in [`FULL_EVERY`] is read in full. Does not know when requests are sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;

use super::drive::Errand;
use super::failure::{Failure, Result};
use super::http::{Answer, request};
use super::scan;
use super::sessions::{self, CREATED, LONG_MS, Numbers, STARTED, Sessions};
use super::socket;
use super::watch::Topics;

/// One in so many answers is parsed: reading all of it costs more than the server needs to write it.
const FULL_EVERY: u64 = 64;
/// How many results a client may have before an update.
const UPDATES_LATE_MAX: u64 = 8;
/// How far from its ends an answer is searched, in bytes.
const NEAR: usize = 220;

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
    sample: Sampling,
}

impl Create {
    pub(crate) fn boxed(numbers: &Arc<Numbers>) -> Box<dyn Errand> {
        let numbers = Arc::clone(numbers);
        Box::new(Self { numbers, id: String::new(), request: Vec::new(), sample: Sampling::default() })
    }
}

impl Errand for Create {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.id = self.numbers.next_id();
        self.request = request("POST", "/v1/sessions", &sessions::body(&self.id, LONG_MS / 2));
        &self.request
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        self.sample.check_state(&answer, 201, &self.id, CREATED)
    }
}

/// Creates given sessions or starts them; several connections share them.
pub(crate) struct Make {
    sessions: Arc<Sessions>,
    next: Arc<AtomicUsize>,
    step: Step,
    id: String,
    request: Vec<u8>,
    sample: Sampling,
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
            Box::new(Self { sessions, next, step, id, request, sample: Sampling::default() }) as _
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
            Step::Create(_) => self.sample.check_state(&answer, 201, &self.id, CREATED),
            Step::Start => self.sample.check_state(&answer, 200, &self.id, STARTED),
        }
    }
}

/// Reads sessions, each of which must be as its last switch left it.
pub(crate) struct Read {
    sessions: Arc<Sessions>,
    turns: Turns,
    sample: Sampling,
}

impl Read {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, places: &[usize]) -> Box<dyn Errand> {
        let turns = Turns::new(sessions, places, |id| request("GET", &format!("/v1/sessions/{id}"), ""));
        Box::new(Self { sessions: Arc::clone(sessions), turns, sample: Sampling::default() })
    }
}

impl Errand for Read {
    fn next(&mut self, _: Instant) -> &[u8] {
        self.turns.turn();
        self.turns.request()
    }

    fn check(&mut self, answer: Answer<'_>) -> Result<()> {
        let place = self.turns.place();
        self.sample.check_state(&answer, 200, &self.sessions.id(place), self.sessions.version(place))
    }
}

/// Switches sessions that nobody else switches: each answer must have the version after the last one.
pub(crate) struct Switch {
    sessions: Arc<Sessions>,
    turns: Turns,
    /// Those who watch, and have to be told when a switch was to be sent.
    topics: Option<Arc<Topics>>,
    sample: Sampling,
}

impl Switch {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, places: &[usize], topics: Option<&Arc<Topics>>) -> Box<dyn Errand> {
        let turns = Turns::new(sessions, places, |id| request("POST", &format!("/v1/sessions/{id}/switch"), ""));
        let topics = topics.cloned();
        Box::new(Self { sessions: Arc::clone(sessions), turns, topics, sample: Sampling::default() })
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
        self.sample.check_switch(&answer, &self.sessions.id(place), version)?;
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
    sample: Sampling,
}

impl SwitchOverSocket {
    pub(crate) fn boxed(sessions: &Arc<Sessions>, place: usize) -> Box<dyn Errand> {
        let (sessions, message, sample) = (Arc::clone(sessions), Vec::new(), Sampling::default());
        Box::new(Self { updated: sessions.version(place), sessions, place, count: 0, message, sample })
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
        self.sample.check_switch(&answer, &self.sessions.id(self.place), version)?;
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
    sample: Sampling,
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
            Box::new(Self { id, request, given, last: STARTED, sample: Sampling::default() }) as _
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
        self.sample.check_switch(&answer, &self.id, version)?;
        if version <= self.last || !self.given.lock().add(version) {
            return Err(answer.wrong(format_args!("version {version} after {} is given twice or too late", self.last)));
        }
        self.last = version;
        Ok(())
    }
}

/// The requests of a connection, one for each of its sessions, in turns.
struct Turns {
    requests: Vec<(usize, Vec<u8>)>,
    now: usize,
    next: usize,
}

impl Turns {
    fn new(sessions: &Sessions, places: &[usize], request: impl Fn(&str) -> Vec<u8>) -> Self {
        let requests = places.iter().map(|&place| (place, request(&sessions.id(place))));
        Self { requests: requests.collect(), now: 0, next: 0 }
    }

    /// The next session's turn.
    fn turn(&mut self) -> usize {
        self.now = self.next;
        self.next = (self.now + 1) % self.requests.len();
        self.place()
    }

    /// The session whose turn it is.
    fn place(&self) -> usize {
        self.requests[self.now].0
    }

    fn request(&self) -> &[u8] {
        &self.requests[self.now].1
    }
}

/// Checks answers, one in [`FULL_EVERY`] in full, the first of a connection among them.
#[derive(Default)]
struct Sampling(u64);

impl Sampling {
    /// A state of a session on which there was nothing but a start and switches.
    fn check_state(&mut self, answer: &Answer<'_>, status: u16, id: &str, version: u64) -> Result<()> {
        let head = &answer.body[..answer.body.len().min(NEAR)];
        let is_right = answer.status == status
            && is_at(head, b"\"session_id\":\"", id)
            && scan::after(head, b"\"version\":").and_then(scan::number) == Some(version);
        if !is_right {
            return Err(answer.wrong(format_args!("{id} must come with {status} in version {version}")));
        }
        let state = if version == CREATED { ("pending", None) } else { ("running", Some(sessions::player(version))) };
        self.check_in_full(answer, id, version, state)
    }

    /// What a switch to a version comes to.
    fn check_switch(&mut self, answer: &Answer<'_>, id: &str, version: u64) -> Result<()> {
        let (head, tail) = (answer.body.len().min(NEAR), answer.body.len().saturating_sub(NEAR));
        let (head, tail) = (&answer.body[..head], &answer.body[tail..]);
        let active = sessions::player(version);
        let is_right = answer.status == 200
            && is_at(head, b"\"session_id\":\"", id)
            && is_at(head, b"\"active_participant_id\":\"", active)
            && scan::after_last(tail, b"\"version\":").and_then(scan::number) == Some(version);
        if !is_right {
            return Err(answer.wrong(format_args!("{id} must be switched to version {version}, {active}'s turn")));
        }
        self.check_in_full(answer, id, version, ("running", Some(active)))
    }

    fn check_in_full(
        &mut self,
        answer: &Answer<'_>,
        id: &str,
        version: u64,
        (status, active): (&str, Option<&str>),
    ) -> Result<()> {
        self.0 += 1;
        if self.0 % FULL_EVERY != 1 {
            return Ok(());
        }
        let json: Value = serde_json::from_slice(answer.body).map_err(|error| answer.wrong(error))?;
        sessions::read_in_full(&json["data"], id, version, status, active)
    }
}

fn is_at(bytes: &[u8], name: &[u8], value: &str) -> bool {
    scan::after(bytes, name).is_some_and(|rest| rest.starts_with(value.as_bytes()))
}
