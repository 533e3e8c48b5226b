//! What must hold of every run: states go forward; answers have an order; watchers converge; nobody starves; and what its
//! audit must say. Does not know how the run went.

mod audit;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use synckairos::engine::{SessionId, StateTag, Timestamp, Uuid};
use synckairos::redis::Keyspace;
use synckairos::wire::{self, RecordBody};

use super::database::Row;
use super::operation::{Answer, Kind};
use super::plan::Disturbance;
use super::run::Outcome;
use super::told;

/// What does not hold, by the name of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

/// All that does not hold of a run.
pub fn check(outcome: &Outcome) -> Vec<Violation> {
    let mut violations = Violations(Vec::new());
    let written = Written::of(outcome, &mut violations);
    states(outcome, &written, &mut violations);
    availability(outcome, &mut violations);
    punctuality(outcome, &mut violations);
    losses(outcome, &written, &mut violations);
    watchers(outcome, &written, &mut violations);
    for wrong in told::without_order(outcome) {
        violations.add("answers_have_an_order", wrong);
    }
    if let Some(database) = &outcome.database {
        let rows = database.rows();
        for wrong in database.wrong() {
            violations.add("audit_readable", wrong);
        }
        audit::check(outcome, &written, &rows, &mut violations);
    }
    violations.0
}

struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, check: &'static str, found: impl Into<String>) {
        self.0.push(Violation { check, found: found.into() });
    }
}

/// The states that sessions had in Redis, in the order in which they were written.
struct Written {
    all: BTreeMap<SessionId, Vec<State>>,
    /// What is there at the end.
    stored: BTreeMap<SessionId, State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    tag: StateTag,
    is_deleted: bool,
    deadline_ms: Option<u64>,
    /// When it was written, by the clock of Redis.
    at_us: u64,
    /// The state that its epoch began on.
    base: StateTag,
}

impl State {
    fn read(value: &[u8], at_us: u64) -> Option<Self> {
        let value = Bytes::copy_from_slice(value);
        let (deadline, body) = wire::peek(&value).ok()?;
        let header = wire::read_header(&value).ok()?;
        let (tag, is_deleted) = match body {
            RecordBody::State(tag, _) => (tag, false),
            RecordBody::Tombstone(tag) => (tag, true),
        };
        let deadline_ms = deadline.map(|deadline| deadline.as_ms());
        Some(Self { tag, is_deleted, deadline_ms, at_us, base: header.base })
    }
}

impl Written {
    fn of(outcome: &Outcome, violations: &mut Violations) -> Self {
        let mut all: BTreeMap<_, Vec<State>> = BTreeMap::new();
        for write in &outcome.writes {
            // Behind the partition, if there are several.
            let id = write.key.last_chunk::<{ Uuid::TEXT_LEN }>().and_then(|id| std::str::from_utf8(id).ok());
            match (id.and_then(Uuid::parse), State::read(&write.value, write.at_us)) {
                (Some(id), Some(state)) => all.entry(SessionId(id)).or_default().push(state),
                _ => violations.add("records_readable", String::from_utf8_lossy(&write.value)),
            }
        }
        let keyspace = Keyspace::new("", outcome.plan.partitions);
        let stored =
            |id: &SessionId| Some((*id, State::read(outcome.redis.string(keyspace.session(*id).as_bytes())?, 0)?));
        Self { all, stored: outcome.sessions.iter().filter_map(stored).collect() }
    }
}

/// No state is written twice, and none that is older than another one: versions go up, and epochs do.
fn states(outcome: &Outcome, written: &Written, violations: &mut Violations) {
    let kinds = &outcome.plan.disturbances;
    // Epochs of what was lost altogether go by a clock that was set back, and the correction of it was lost, too.
    if kinds.contains(&Disturbance::StepRedis) && kinds.contains(&Disturbance::LoseWrites) {
        return;
    }
    for (id, states) in &written.all {
        for pair in states.windows(2) {
            if pair[1].tag <= pair[0].tag {
                violations.add("tags_go_up", format!("{id}: {:?} after {:?}", pair[1], pair[0]));
            }
        }
    }
}

/// When nothing goes wrong any more everybody is answered, and all say the same.
fn availability(outcome: &Outcome, violations: &mut Violations) {
    let mut seen: BTreeMap<SessionId, BTreeSet<Option<StateTag>>> = BTreeMap::new();
    for operation in &outcome.last {
        if matches!(operation.answer, Answer::NotDone | Answer::Unknown) {
            violations.add("nobody_starves", format!("{operation:?}"));
        }
        if operation.kind == Kind::Read {
            let tag = if let Answer::Done(tag) = operation.answer { tag } else { None };
            seen.entry(operation.session).or_default().insert(tag);
        }
    }
    for (id, tags) in seen {
        if tags.len() > 1 {
            violations.add("all_read_the_same", format!("{id}: {tags:?}"));
        }
    }
    let expected = outcome.instances.len() * outcome.sessions.len() * 2;
    if outcome.last.len() != expected || outcome.instances.len() != outcome.plan.instances {
        let found = format!("{} of {expected} questions on {} instances", outcome.last.len(), outcome.instances.len());
        violations.add("nobody_starves", found);
    }
}

/// How late a clock that ran out may be when nothing goes wrong, beside ten times the way to Redis.
const LATE_MAX: Duration = Duration::from_millis(40);

/// Clocks that run out are noticed in time, and not only when somebody asks; and time passes as it does for everybody.
fn punctuality(outcome: &Outcome, violations: &mut Violations) {
    let plan = &outcome.plan;
    if plan.disturbances.contains(&Disturbance::StepRedis) {
        return;
    }
    let (redis, now_us) = &outcome.quiet;
    let keyspace = Keyspace::new("", plan.partitions);
    for &id in &*outcome.sessions {
        let value = redis.string(keyspace.session(id).as_bytes());
        let stored = value.and_then(|value| State::read(value, 0));
        let late_us = |deadline_ms: u64| now_us.saturating_sub(deadline_ms * 1_000);
        if let Some(state) = stored.filter(|state| state.deadline_ms.is_some_and(|at| late_us(at) > 1_000_000)) {
            let value = String::from_utf8_lossy(value.unwrap_or_default());
            violations.add("nothing_stays_overdue", format!("{id}: {state:?} at {now_us}: {value}"));
        }
    }
    let is_undisturbed = plan.disturbances.is_empty()
        && plan.connections.stall.or(plan.connections.cut_before).or(plan.connections.cut_after).is_none();
    if let Some(database) = outcome.database.as_ref().filter(|_| is_undisturbed) {
        let late_max = LATE_MAX + plan.latency.most * 10;
        for row in database.rows().iter().filter(|row| row.kind.ends_with("_expired")) {
            let late_ms = u64::try_from(late_max.as_millis()).unwrap_or(u64::MAX);
            let least = wire::instant_text(Timestamp::from_ms(row.at_ms.saturating_sub(late_ms)));
            let flags = flags(row).unwrap_or_default();
            if flags.last().is_some_and(|flag| flag.at < least) {
                violations.add("fired_in_time", format!("{row:?}"));
            }
        }
    }
}

/// What Redis lost that was acknowledged is reported by whoever acknowledged it, if it still runs.
fn losses(outcome: &Outcome, written: &Written, violations: &mut Violations) {
    let acknowledged = |id: SessionId, lost: &dyn Fn(StateTag) -> bool| {
        let mut done =
            outcome.history.iter().filter(|operation| operation.session == id && operation.kind != Kind::Read);
        done.any(|operation| matches!(operation.answer, Answer::Done(Some(tag)) if lost(tag)))
    };
    let is_told = outcome.behind > 0 || outcome.plan.disturbances.contains(&Disturbance::KillInstance);
    for (&id, states) in &written.all {
        for pair in states.windows(2) {
            let [before, next] = pair else { continue };
            let goes_back = next.tag.epoch > before.tag.epoch && !before.is_deleted && next.base < before.tag;
            if goes_back && !is_told && acknowledged(id, &|tag| tag > next.base && tag <= before.tag) {
                violations.add("losses_are_told", format!("{id}: {next:?} after {before:?}"));
            }
        }
    }
}

/// Watchers never go back, and have the newest state at the end.
fn watchers(outcome: &Outcome, written: &Written, violations: &mut Violations) {
    for (index, instance) in outcome.instances.iter().enumerate() {
        for (id, wrong) in instance.watcher.wrong() {
            let story = instance.watcher.story(id);
            violations.add("watchers_never_go_back", format!("instance {index}, {id}: {wrong}:{story}"));
        }
        for &id in &*outcome.sessions {
            let (newest, stored) = (instance.watcher.newest(id), written.stored.get(&id).copied());
            let has_converged = match (newest, stored) {
                (Some(newest), Some(stored)) => !newest.is_interrupted && newest.tag == stored.tag,
                // What Redis has lost may come back: it ends for its watchers when its lifetime is over.
                (Some(newest), None) => newest.tag == StateTag::default() || may_lose(outcome),
                (None, _) => false,
            };
            // Whoever begins to watch what was deleted is shown nothing.
            let is_gone = stored.is_some_and(|stored| stored.is_deleted)
                && newest.is_some_and(|newest| newest.tag == StateTag::default() && !newest.is_interrupted);
            if !has_converged && !is_gone {
                let story = instance.watcher.story(id);
                violations.add("watchers_converge", format!("instance {index}, {id}: {stored:?} after{story}"));
            }
        }
    }
}

/// Whether Redis may have lost what was acknowledged.
fn may_lose(outcome: &Outcome) -> bool {
    outcome.plan.disturbances.contains(&Disturbance::LoseWrites)
}

/// A clock that ran out.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flag {
    event: String,
    /// Whose, if it is somebody's.
    participant: Option<String>,
    /// When, as text.
    at: String,
}

/// The clocks that ran out in a change.
fn flags(row: &Row) -> Option<Vec<Flag>> {
    let events: serde_json::Value = serde_json::from_str(&row.events).ok()?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let flag = |event: &serde_json::Value| {
        let (at, participant) = (text(&event["expired_at"])?, text(&event["participant_id"]));
        Some(Flag { event: text(&event["event"])?, participant, at })
    };
    Some(events["events"].as_array()?.iter().filter_map(flag).collect())
}
